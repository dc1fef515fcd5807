//! Histories in files, one event a line.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    sync::{Mutex, PoisonError},
};

use serde::{Serialize, de::DeserializeOwned};

use crate::KitError;

/// Appends events to a file; clones of a reference may be used by any number of tasks.
///
/// Every event is one write of one line, so whoever is killed leaves whole lines, or one torn last
/// line, which [`read`] passes over.
#[derive(Debug)]
pub struct Recorder {
    file: Mutex<File>,
    name: String,
}

impl Recorder {
    /// Records to the file at `path`, after what it has.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened.
    pub fn open(path: &Path) -> Result<Self, KitError> {
        let file = File::options().append(true).create(true).open(path);
        let name = path.display().to_string();
        let file = file.map_err(KitError::io(format!("open the history {name}")))?;
        Ok(Self { file: Mutex::new(file), name })
    }

    /// Adds an event; it is the system's when this returns, and outlives our process.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn record(&self, event: &impl Serialize) -> Result<(), KitError> {
        let what = || format!("write to the history {}", self.name);
        let mut line =
            serde_json::to_vec(event).map_err(|error| KitError::answer(what(), error))?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&line).map_err(KitError::io(what()))
    }
}

/// The events in the file at `path`. A last line without its end was torn by a kill and is left out.
///
/// # Errors
///
/// When the file cannot be read, or a whole line of it is no event.
pub fn read<E: DeserializeOwned>(path: &Path) -> Result<Vec<E>, KitError> {
    let text = fs::read_to_string(path);
    let text = text.map_err(KitError::io(format!("read the history {}", path.display())))?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let parse = |(number, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| {
            KitError::answer(
                format!("{}:{}", path.display(), number + 1),
                format!("{error}: {line}"),
            )
        })
    };
    whole.lines().enumerate().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_last_line_is_left_out_and_a_broken_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history");
        let recorder = Recorder::open(&path).unwrap();
        recorder.record(&1).unwrap();
        drop(recorder);
        Recorder::open(&path).unwrap().record(&2).unwrap();
        assert_eq!(read::<u32>(&path).unwrap(), [1, 2]);
        File::options().append(true).open(&path).unwrap().write_all(b"{\"at\":").unwrap();
        assert_eq!(read::<u32>(&path).unwrap(), [1, 2]);
        File::options().append(true).open(&path).unwrap().write_all(b"\n3\n").unwrap();
        let error = read::<u32>(&path).unwrap_err().to_string();
        assert!(error.contains("history:3"), "{error}");
    }
}
