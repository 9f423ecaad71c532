//! What a witness is asked: the body of `add-checkpoint` of C2SP [tlog-witness](https://c2sp.org/tlog-witness).

use super::super::tree::{Hash, parse_hash};

/// Hashes of a consistency proof, at most.
const MAX_PROOF: usize = 63;

/// A new checkpoint, and what proves that it continues what the witness knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The size that the witness cosigned last; 0: none.
    pub old: u64,
    /// From there to the checkpoint.
    pub proof: Vec<Hash>,
    /// The checkpoint, a note that its log has signed.
    pub note: String,
}

impl Request {
    /// As it is sent.
    #[must_use]
    pub fn to_text(&self) -> String {
        let proof: String = self.proof.iter().map(|hash| format!("{hash}\n")).collect();
        format!("old {}\n{proof}\n{}", self.old, self.note)
    }

    /// Reads what was sent; `None` when it is anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (head, note) = text.split_once("\n\n")?;
        let mut lines = head.split('\n');
        let old = size(lines.next()?.strip_prefix("old ")?)?;
        let proof: Option<Vec<Hash>> = lines.map(parse_hash).collect();
        let proof = proof.filter(|proof| proof.len() <= MAX_PROOF)?;
        Some(Self { old, proof, note: note.to_owned() })
    }
}

/// A size in its only spelling.
pub(super) fn size(text: &str) -> Option<u64> {
    text.parse().ok().filter(|size: &u64| size.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_it_is_written() {
        for proof in [vec![], vec![Hash([1; 32])], vec![Hash([1; 32]); MAX_PROOF]] {
            let request = Request { old: 20, proof, note: "a\n\nb\n\n— c d\n".to_owned() };
            assert_eq!(Request::parse(&request.to_text()), Some(request));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let hash = Hash([1; 32]).to_string();
        for bad in [
            String::new(),
            "old 1\nnote\n".to_owned(),
            "old 01\n\nnote\n".to_owned(),
            "old +1\n\nnote\n".to_owned(),
            "old\n\nnote\n".to_owned(),
            "old 1 \n\nnote\n".to_owned(),
            "old 18446744073709551616\n\nnote\n".to_owned(),
            format!("old 1\n{hash} \n\nnote\n"),
            format!("old 1\r\n{hash}\n\nnote\n"),
            format!("old 1\n{}\n\nnote\n", hash.trim_end_matches('=')),
            format!("old 1\n{}\nnote\n", format!("{hash}\n").repeat(MAX_PROOF + 1)),
        ] {
            assert_eq!(Request::parse(&bad), None, "{bad}");
        }
    }
}
