//! Pictures.

use std::error::Error;

use plotters::{
    coord::Shift,
    prelude::{DrawingArea, EmptyElement, IntoDrawingArea, Rectangle, SVGBackend, Text},
    style::text_anchor::{HPos, Pos, VPos},
    style::{Color, IntoFont, RGBColor, TextStyle, WHITE},
};

use super::{Report, figure};
use crate::harness::{Samples, Table};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn Error>>;

const INK: RGBColor = RGBColor(40, 44, 52);
const OURS: [RGBColor; 2] = [RGBColor(0, 110, 144), RGBColor(120, 184, 204)];
const THEIRS: [RGBColor; 2] = [RGBColor(120, 120, 128), RGBColor(190, 190, 196)];

const WIDTH: u32 = 980;
/// Where bars begin; names stand left of it.
const LEFT: i32 = 400;
/// Room to the right of the longest bar for its figure.
const RIGHT: i32 = 110;
const LINE: i32 = 15;
const TITLE: i32 = 34;
const GAP: i32 = 8;

/// All measured columns of all tables, one under the other, ours in colour.
pub(super) fn page(report: &Report) -> Result<String, Box<dyn Error>> {
    let charts: Vec<Chart<'_>> = report.tables.iter().flat_map(charts).collect();
    let height: i32 = charts.iter().map(Chart::height).sum::<i32>() + GAP;
    let mut text = String::new();
    {
        let size = (WIDTH, u32::try_from(height)?);
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        area.fill(&WHITE)?;
        let mut top = 0;
        for chart in &charts {
            chart.draw(&area, top)?;
            top += chart.height();
        }
        area.present()?;
    }
    text.push('\n');
    Ok(text)
}

/// Columns of one table that are drawn on one scale.
struct Chart<'a> {
    table: &'a Table,
    columns: Vec<usize>,
}

/// Columns of the same unit share a chart.
fn charts(table: &Table) -> Vec<Chart<'_>> {
    let mut charts: Vec<Chart<'_>> = Vec::new();
    for (place, column) in table.columns.iter().enumerate() {
        if column.unit.is_empty() {
            continue;
        }
        match charts.iter_mut().find(|chart| table.columns[chart.columns[0]].unit == column.unit) {
            Some(chart) if chart.columns.len() < OURS.len() => chart.columns.push(place),
            _ => charts.push(Chart { table, columns: vec![place] }),
        }
    }
    charts
}

impl Chart<'_> {
    fn height(&self) -> i32 {
        let bars = self.table.rows.len() * self.columns.len();
        TITLE
            + i32::try_from(bars).unwrap_or(0) * LINE
            + i32::try_from(self.table.rows.len()).unwrap_or(0) * 4
            + GAP
    }

    fn draw(&self, area: &Area<'_>, top: i32) -> Drawn {
        let scale = self.scale();
        text(area, &self.title(), 15.0, (10, top + 18), HPos::Left)?;
        let mut y = top + TITLE;
        for row in &self.table.rows {
            let colours = if row.ours { OURS } else { THEIRS };
            let middle = i32::try_from(self.columns.len()).unwrap_or(1) * LINE / 2;
            text(area, row.side, 12.0, (LEFT - 8, y + middle), HPos::Right)?;
            for (column, colour) in self.columns.iter().zip(colours) {
                if let Some(samples) = &row.cells[*column] {
                    let end = LEFT + scale.length(samples.median());
                    let shape = [(LEFT, y + 1), (end, y + LINE - 1)];
                    area.draw(&Rectangle::new(shape, colour.filled()))?;
                    text(
                        area,
                        &figure(samples.median()),
                        11.0,
                        (end + 5, y + LINE / 2),
                        HPos::Left,
                    )?;
                }
                y += LINE;
            }
            y += 4;
        }
        Ok(())
    }

    fn title(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|n| self.table.columns[*n].name).collect();
        let unit = self.table.columns[self.columns[0]].unit;
        let log = if self.scale().log { ", logarithmic" } else { "" };
        format!("{} ({}; {unit}{log})", self.table.title, names.join(", then "))
    }

    fn scale(&self) -> Scale {
        let cells =
            self.table.rows.iter().flat_map(|row| self.columns.iter().map(|n| &row.cells[*n]));
        let values: Vec<f64> =
            cells.flatten().map(Samples::median).filter(|value| *value > 0.0).collect();
        let most = values.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let least = values.iter().copied().fold(most, f64::min);
        Scale { least, most, log: most / least > 40.0 }
    }
}

/// From figures to lengths. Logarithmic where a linear one would hide the small bars.
struct Scale {
    least: f64,
    most: f64,
    log: bool,
}

impl Scale {
    fn length(&self, value: f64) -> i32 {
        let room = f64::from(i32::try_from(WIDTH).unwrap_or(0) - LEFT - RIGHT);
        let share = match self.log {
            // The smallest bar is still a bar.
            true => (value / (self.least / 2.0)).ln() / (self.most / (self.least / 2.0)).ln(),
            false => value / self.most,
        };
        (room * share.clamp(0.0, 1.0)) as i32
    }
}

fn text(area: &Area<'_>, words: &str, size: f64, at: (i32, i32), side: HPos) -> Drawn {
    let style = TextStyle::from(("sans-serif", size).into_font())
        .color(&INK)
        .pos(Pos::new(side, VPos::Center));
    area.draw(&(EmptyElement::at(at) + Text::new(words.to_owned(), (0, 0), style)))?;
    Ok(())
}
