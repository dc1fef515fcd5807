//! The second round, and the fence that it writes.

use std::sync::Arc;

use super::{
    Inner,
    attempt::{Attempt, Phase, Vote},
    gather::Gathered,
    node::Raise,
};
use crate::{
    backend::{Grant, Mode},
    fence::Fence,
};

impl Inner {
    /// The second round: a majority writes the highest fence, and its leases begin anew.
    pub(super) async fn agree(self: &Arc<Self>, attempt: &Arc<Attempt>) -> Gathered {
        let (claim, votes) = {
            let mut state = attempt.lock();
            // Whatever was taken by force up to now cannot be raised.
            state.forced.fill(false);
            (attempt.claim.clone(), state.votes.clone())
        };
        let fence = agreed(&votes, claim.mode());
        let (since, lease) = (claim.clock().now(), claim.lease());
        let given = |node: &usize| matches!(votes[*node], Vote::Given(_));
        let voters: Vec<_> = (0..votes.len()).filter(given).collect();
        let raise = Raise { claim, lease, fence };
        let mut raised = self.ask_each(voters, |node| {
            let raise = raise.clone();
            async move { node.raise(&raise).await }
        });
        let (mut agreed, mut trouble) = (0, None);
        while agreed < self.majority() {
            match raised.recv().await {
                Some((_, Ok(raised))) => agreed += usize::from(raised),
                // It holds what it gave before, so it is not forgotten below.
                Some((_, Err(error))) => trouble = Some(error),
                None => {
                    if let Some(trouble) = trouble {
                        return Gathered::Failed(self.give_up(attempt, trouble).await);
                    }
                    self.withdraw(attempt).await;
                    return Gathered::Split;
                }
            }
        }
        let grant = Grant::new(fence, since, lease);
        let forced = {
            let mut state = attempt.lock();
            if state.phase == Phase::Over {
                return Gathered::Over;
            }
            let forced = self.is_denied(state.forced_at());
            if !forced {
                state.phase = Phase::Held(grant);
            }
            forced
        };
        if forced {
            self.withdraw(attempt).await;
            return Gathered::Split;
        }
        Gathered::Won(grant)
    }
}

/// The fence that votes come to: the highest.
///
/// Readers may draw at the same time at several nodes, each another one first, and come to the same. So theirs
/// is the next one whose remainder names the node that it is of, and what a node draws for readers lies further
/// apart than that.
fn agreed(votes: &[Vote], mode: Mode) -> Fence {
    let given = |(node, vote): (usize, &Vote)| match vote {
        Vote::Given(fence) => Some((fence.get(), node)),
        _ => None,
    };
    let Some((highest, node)) = votes.iter().enumerate().filter_map(given).max() else {
        return Fence::NONE;
    };
    let numbers = i64::try_from(node).ok().zip(i64::try_from(votes.len()).ok());
    Fence::new(match numbers {
        Some((node, nodes)) if mode == Mode::Shared => highest + (node - highest).rem_euclid(nodes),
        _ => highest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn votes(fences: [i64; 3]) -> [Vote; 3] {
        fences.map(|fence| if fence == 0 { Vote::Waits } else { Vote::Given(Fence::new(fence)) })
    }

    #[test]
    fn a_writer_has_the_highest_fence_of_its_votes() {
        assert_eq!(agreed(&votes([7, 0, 9]), Mode::Exclusive), Fence::new(9));
        assert_eq!(agreed(&votes([0, 0, 0]), Mode::Exclusive), Fence::NONE);
    }

    /// Two nodes let them in by turns, and what each draws lies 64 above the last.
    #[test]
    fn readers_whose_highest_votes_are_equal_have_fences_of_their_own() {
        let one = agreed(&votes([100, 164, 0]), Mode::Shared);
        let two = agreed(&votes([164, 100, 0]), Mode::Shared);
        assert_ne!(one, two);
        for fence in [one, two] {
            assert!((164..167).contains(&fence.get()), "{fence}");
        }
        assert_eq!(agreed(&votes([0, 0, 0]), Mode::Shared), Fence::NONE);
    }
}
