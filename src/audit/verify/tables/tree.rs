//! One log, leaf by leaf.

use super::columns::{COLUMNS, differs};
use super::{Failure, PAGE, Tables};
use crate::audit::export::{Header, checkpoint_line, entry_line};
use crate::audit::leaves::{self, Head, Leaf, signed, table, unsigned};
use crate::audit::tree::{Checkpoint, Edge, Hash, Node, TILE_HEIGHT, VerifierKey, leaf_hash, parse_hash};
use crate::audit::verify::{Expect, Fault, Report, Verifier};
use crate::store::{Row, StoreError, Tx};
use std::collections::BTreeMap;

/// Goes through the leaves of a log.
struct Walk<'a> {
    head: &'a Head,
    key: VerifierKey,
    newest: Checkpoint,
    /// Checkpoints in the table, by size.
    kept: BTreeMap<u64, String>,
    /// The tree as it was computed so far.
    edge: Edge,
    /// Fed from the first entry that is kept until the newest checkpoint.
    verifier: Option<Verifier>,
    report: Option<Report>,
    expect: Expect,
    /// Whether the key was given.
    key_given: bool,
}

impl Tables<'_> {
    /// Checks the tree of a log; what a verifier of exports says, and how many leaves aren't signed yet.
    pub(super) async fn tree(
        &self,
        head: &Head,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(Option<Report>, u64), Failure> {
        let key = self.key_of(&head.log)?;
        let Some(note) = &head.checkpoint else {
            let mut tx = self.db.read().await?;
            let leaves = leaves::leaves(&mut tx, head, 0, 1).await?;
            let fault = "the log has entries, and none was ever signed: start the gateway, or the checkpoint was removed";
            return if leaves.is_empty() && head.edge.size() == 0 {
                Ok((None, 0))
            } else {
                Err(Fault::new(fault).into())
            };
        };
        let open = |error| Fault::new(format!("the newest checkpoint isn't to be believed: {error}"));
        let newest = Checkpoint::open(note, &key).map_err(open)?;
        if newest.size > head.edge.size() || newest.size != head.signed_size {
            let what = format!(
                "the newest checkpoint has {} entries, and the log {}: its end was cut off",
                newest.size,
                head.edge.size()
            );
            return Err(Fault::new(what).at(head.edge.size()).into());
        }
        let kept = leaves::kept_checkpoints(&mut self.db.read().await?, head, 0).await?;
        let mut expect = self.expect.clone();
        expect.against.retain(|kept| {
            Checkpoint::read(&kept.note).map_or(true, |checkpoint| checkpoint.origin == key.name())
        });
        expect.key = Some(key.clone());
        expect.log = Some(head.log.clone());
        let mut walk = Walk {
            head,
            key,
            newest,
            kept: kept.into_iter().collect(),
            edge: Edge::empty(),
            verifier: None,
            report: None,
            expect,
            key_given: self.expect.key.is_some(),
        };
        walk.grown()?;
        while walk.edge.size() < head.edge.size() {
            walk.page(&mut self.db.read().await?).await?;
            progress(walk.edge.size());
        }
        if walk.edge != head.edge {
            return Err(Fault::new(
                "the log's edge isn't that of its leaves: the head of the log was changed",
            )
            .into());
        }
        self.nothing_more(head).await?;
        let unsigned = head.edge.size() - walk.newest.size;
        Ok((walk.report, unsigned))
    }

    /// No leaves or nodes beyond the log's end.
    async fn nothing_more(&self, head: &Head) -> Result<(), Failure> {
        let mut tx = self.db.read().await?;
        let now = leaves::head(&mut tx, &head.log).await?;
        let size = now.map_or(0, |now| now.edge.size());
        if size < head.edge.size() {
            return Err(Fault::new("the log became shorter while it was read").at(size).into());
        }
        let text = "SELECT idx FROM audit_leaf WHERE log = $1 AND (idx >= $2 OR idx < 0) LIMIT 1";
        if let Some(row) = tx.row(text, &[head.id.into(), signed(size).into()]).await? {
            let what = "a leaf stands behind the log's end: it was put in by another way";
            return Err(Fault::new(what).at(unsigned(row.int(0)?).unwrap_or(0)).into());
        }
        let text = "SELECT level, COUNT(*), MAX(idx) FROM audit_node WHERE log = $1 GROUP BY level";
        for row in tx.rows(text, &[head.id.into()]).await? {
            let level = u32::try_from(row.int(0)?).unwrap_or(u32::MAX);
            let due = size.checked_shr(level.saturating_mul(u32::from(TILE_HEIGHT))).unwrap_or(0);
            if level == 0 || row.int(1)? != signed(due) || row.int(2)? != signed(due) - 1 {
                return Err(Fault::new(format!("the tree's nodes of level {level} aren't {due}")).into());
            }
        }
        Ok(())
    }
}

impl Walk<'_> {
    /// Up to [`PAGE`] leaves.
    async fn page(&mut self, tx: &mut Tx) -> Result<(), Failure> {
        let from = self.edge.size();
        let to = from.saturating_add(PAGE).min(self.head.edge.size());
        let table = table(&self.head.log);
        let text = format!(
            "SELECT l.idx, l.hash, e.bond, e.body, {COLUMNS} FROM audit_leaf l LEFT JOIN {table} e ON e.n = l.entry \
             WHERE l.log = $1 AND l.idx >= $2 AND l.idx < $3 ORDER BY l.idx"
        );
        let args = [self.head.id.into(), signed(from).into(), signed(to).into()];
        let mut filled = Vec::new();
        for row in tx.rows_dynamic(text, &args).await? {
            self.leaf(&row, &mut filled)?;
        }
        if self.edge.size() < to {
            return Err(self.gone());
        }
        self.nodes(tx, &filled).await
    }

    fn gone(&self) -> Failure {
        Fault::new("the leaf of this entry is gone: it was deleted").at(self.edge.size()).into()
    }

    fn leaf(&mut self, row: &Row, filled: &mut Vec<Node>) -> Result<(), Failure> {
        let index = self.edge.size();
        if row.int(0)? != signed(index) {
            return Err(self.gone());
        }
        let corrupt =
            |what: &str| Fault::new(format!("{what} of this entry isn't one: it was changed")).at(index);
        let hash = parse_hash(row.text(1)?).ok_or_else(|| corrupt("the hash"))?;
        let bond = match row.opt_text(2)? {
            None | Some("") => None,
            Some(text) => Some(parse_hash(text).ok_or_else(|| corrupt("the bond"))?),
        };
        let leaf = Leaf { index, hash, bond, line: row.opt_text(3)?.map(str::to_owned) };
        if index >= self.head.first {
            self.kept_leaf(row, &leaf)?;
        }
        self.edge.push(hash, |node| filled.push(node));
        self.grown()
    }

    /// A leaf whose entry must be there.
    fn kept_leaf(&mut self, row: &Row, leaf: &Leaf) -> Result<(), Failure> {
        let index = leaf.index;
        let Some(line) = &leaf.line else {
            return Err(Fault::new("the entry is gone, and it hasn't expired: it was deleted")
                .at(index)
                .into());
        };
        match (&mut self.verifier, entry_line(leaf)) {
            (Some(verifier), Some(text)) => {
                let text = text.trim_end_matches('\n');
                // The lines of an export that nobody sees have no numbers.
                verifier.line(text.as_bytes()).map_err(|fault| Fault { line: None, ..fault })?;
            }
            // Behind the newest checkpoint.
            _ if leaf_hash(line, leaf.bond.as_ref()) != leaf.hash => {
                let what = "the entry was changed: it isn't the one that its hash is of";
                return Err(Fault::new(what).at(index).of(line).into());
            }
            _ => {}
        }
        let entry = serde_json::from_str(line).unwrap_or_default();
        match differs(row, 4, &entry)? {
            None => Ok(()),
            Some(column) => {
                let what =
                    format!("the column `{column}` of the entry was changed: it isn't what the entry says");
                Err(Fault::new(what).at(index).of(line).into())
            }
        }
    }

    /// The tree has one leaf more: the checkpoints of this size, and where entries begin and end.
    fn grown(&mut self) -> Result<(), Failure> {
        let size = self.edge.size();
        let without_line = |fault: Fault| Fault { line: None, ..fault };
        if size < self.head.first {
            return self.expired(size);
        }
        if size == self.head.first {
            let header = Header::new(&self.key, &self.edge).line().unwrap_or_default();
            let mut verifier = Verifier::new(self.expect.clone());
            verifier.line(header.trim_end_matches('\n').as_bytes()).map_err(without_line)?;
            self.verifier = Some(verifier);
        }
        let note =
            if size == self.newest.size { Some(self.newest.note.clone()) } else { self.kept.remove(&size) };
        let Some(note) = note else { return Ok(()) };
        let Some(mut verifier) = self.verifier.take() else {
            let what = format!(
                "a checkpoint of {size} entries is kept, and the newest has {}: it was put back",
                self.newest.size
            );
            return Err(Fault::new(what).at(size).into());
        };
        verifier.line(checkpoint_line(&note).trim_end_matches('\n').as_bytes()).map_err(without_line)?;
        if size < self.newest.size {
            self.verifier = Some(verifier);
            return Ok(());
        }
        let mut report = verifier.finish().map_err(without_line)?;
        report.key_given = self.key_given;
        // Leaves are kept for ever, so all of them were computed.
        report.against.iter_mut().for_each(|kept| kept.recomputed = true);
        self.report = Some(report);
        Ok(())
    }

    /// Checkpoints of a size whose entries have expired.
    fn expired(&mut self, size: u64) -> Result<(), Failure> {
        let kept = self.kept.remove(&size).map(|note| ("the log's own".to_owned(), note));
        let against = self.expect.against.iter().map(|kept| (kept.name.clone(), kept.note.clone()));
        for (name, note) in kept.into_iter().chain(against) {
            let Ok(checkpoint) = Checkpoint::open(&note, &self.key) else { continue };
            if checkpoint.size == size && checkpoint.root != self.edge.root() {
                let what = format!(
                    "the first {size} entries are not those of the kept checkpoint `{name}`: the log was rewritten"
                );
                return Err(Fault::new(what).into());
            }
        }
        Ok(())
    }

    /// The nodes above the leaves of a page.
    async fn nodes(&self, tx: &mut Tx, filled: &[Node]) -> Result<(), Failure> {
        for node in filled {
            let text = "SELECT hash FROM audit_node WHERE log = $1 AND level = $2 AND idx = $3";
            let args = [self.head.id.into(), i64::from(node.level).into(), signed(node.index).into()];
            let row = tx.row(text, &args).await?;
            let told: Option<Hash> =
                row.map(|row| Ok::<_, StoreError>(parse_hash(row.text(0)?))).transpose()?.flatten();
            if told != Some(node.hash) {
                let what = format!(
                    "the tree's node {} of level {} isn't that of its leaves: it was changed",
                    node.index, node.level
                );
                return Err(Fault::new(what).into());
            }
        }
        Ok(())
    }
}
