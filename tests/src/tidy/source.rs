//! Reading the tree: which files are ours, and what of a Rust file is code.

use std::path::Path;

/// One file of the tree.
pub(super) struct File {
    /// From the root, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

impl File {
    pub(super) fn extension(&self) -> &str {
        Path::new(&self.path)
            .extension()
            .and_then(|extension| extension.to_str())
            .unwrap_or_default()
    }
}

/// What builds and tools leave behind, and what is not ours.
const NOT_OURS: [&str; 5] = ["target", "node_modules", "dist", "artefacts", "shared"];
/// Folders with a dot that are ours.
const HIDDEN_BUT_OURS: [&str; 3] = [".ci", ".cargo", ".gitignore"];

/// Every text file of ours, in order of path.
pub(super) fn tree() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests are a folder of the tree");
    let mut files = Vec::new();
    collect(root, root, &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(files.len() > 20, "the tree is read from {}", root.display());
    files
}

fn collect(root: &Path, folder: &Path, into: &mut Vec<File>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the tree can be read") {
        let entry = entry.expect("an entry can be read");
        let name = entry.file_name().to_string_lossy().into_owned();
        let hidden = name.starts_with('.') && !HIDDEN_BUT_OURS.contains(&name.as_str());
        if hidden || NOT_OURS.contains(&name.as_str()) {
            continue;
        }
        let kind = entry.file_type().expect("an entry has a type");
        if kind.is_dir() {
            collect(root, &entry.path(), into);
        } else if kind.is_file()
            && let Ok(text) = String::from_utf8(std::fs::read(entry.path()).expect("a file can be read"))
        {
            let path = entry
                .path()
                .strip_prefix(root)
                .expect("it is within the tree")
                .to_string_lossy()
                .replace('\\', "/");
            into.push(File { path, text });
        }
    }
}

/// Whether `name` stands in `text` as a word of its own.
pub(super) fn mentions(text: &str, name: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name)
        .any(|(at, _)| !text[..at].ends_with(part_of_word) && !text[at + name.len()..].starts_with(part_of_word))
}

/// A Rust file without its comments and without the contents of its literals; lines stay where they are.
pub(super) fn code_of(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let skipped = skipped_at(bytes, at);
        if skipped == 0 {
            code.push(bytes[at]);
            at += 1;
        } else {
            let end = (at + skipped).min(bytes.len());
            code.extend(
                bytes[at..end]
                    .iter()
                    .map(|byte| if *byte == b'\n' { b'\n' } else { b' ' }),
            );
            at = end;
        }
    }
    String::from_utf8_lossy(&code).into_owned()
}

/// How many bytes of comment or literal begin here; 0 for code.
fn skipped_at(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let starts_word = at == 0 || !(bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    match rest {
        [b'/', b'/', ..] => rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => block_comment(rest),
        [b'"', ..] => quoted(rest),
        [b'r', b'"' | b'#', ..] if starts_word => raw_string(&rest[1..]).map_or(0, |length| length + 1),
        [b'b', b'r', b'"' | b'#', ..] if starts_word => raw_string(&rest[2..]).map_or(0, |length| length + 2),
        [b'\'', b'\\', _, tail @ ..] => tail.iter().position(|byte| *byte == b'\'').map_or(0, |end| end + 4),
        // A character, not a lifetime: the closing quote is at most four bytes of UTF-8 away.
        [b'\'', first, ..] => {
            let length = match first {
                0..0x80 => 1,
                0..0xE0 => 2,
                0..0xF0 => 3,
                _ => 4,
            };
            if rest.get(1 + length) == Some(&b'\'') {
                length + 2
            } else {
                0
            }
        }
        _ => 0,
    }
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != b'"' {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

/// From the hashes or the quote on; none when it is a raw identifier.
fn raw_string(rest: &[u8]) -> Option<usize> {
    let hashes = rest.iter().take_while(|byte| **byte == b'#').count();
    if rest.get(hashes) != Some(&b'"') {
        return None;
    }
    let mut end = vec![b'"'];
    end.resize(1 + hashes, b'#');
    let body = &rest[hashes + 1..];
    let length = body
        .windows(end.len())
        .position(|window| window == end)
        .unwrap_or(body.len());
    Some(hashes + 1 + length + end.len())
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    /// Where `fn` stands, from 1.
    pub(super) line: usize,
    /// From `fn` to the closing brace.
    pub(super) lines: usize,
}

/// Every function of a Rust file, inner ones too.
pub(super) fn functions_of(text: &str) -> Vec<Function> {
    let code = code_of(text);
    let starts = code.match_indices("fn ").filter(|(at, _)| {
        let before = code[..*at].chars().next_back();
        before.is_none_or(|c| !(c.is_alphanumeric() || c == '_'))
    });
    starts.filter_map(|(at, _)| function_at(&code, at)).collect()
}

fn function_at(code: &str, at: usize) -> Option<Function> {
    let name: String = code[at + 3..]
        .trim_start()
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    let line = 1 + code[..at].matches('\n').count();
    let (mut depth, mut nested) = (0_usize, 0_usize);
    for (offset, byte) in code.bytes().enumerate().skip(at) {
        match byte {
            b'(' | b'[' => nested += 1,
            b')' | b']' => nested = nested.saturating_sub(1),
            // A declaration without a body ends so; within brackets it is an array's length.
            b';' if depth == 0 && nested == 0 => return None,
            b'{' => depth += 1,
            b'}' if depth <= 1 => {
                let lines = 1 + code[at..offset].matches('\n').count();
                return (!name.is_empty()).then_some(Function { name, line, lines });
            }
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[test]
fn comments_and_literals_are_not_code() {
    let text =
        "a /* b /* c */ d */ \"e \\\" f\" r#\"g \" h\"# 'i' '\\'' &'j x // k\nl b\"m\" b'n' '\u{e9}' br\"o\" \"{\" p";
    let code = code_of(text);
    let words: Vec<_> = code.split_whitespace().collect();
    assert_eq!(words, ["a", "&'j", "x", "l", "b", "b", "p"]);
    assert_eq!(code.matches('\n').count(), 1);
}

#[test]
fn functions_are_measured_to_their_closing_brace() {
    let text =
        "trait T {\n    fn a(&self);\n    fn b(&self, x: [u8; 2]) {\n        let y = \"}\";\n    }\n}\nfn c() {}\n";
    let found = functions_of(text);
    let told: Vec<_> = found.iter().map(|f| (f.name.as_str(), f.line, f.lines)).collect();
    assert_eq!(told, [("b", 3, 3), ("c", 7, 1)]);
}

#[test]
fn names_are_whole_words() {
    assert!(mentions("use std::fs;", "std::fs"));
    assert!(!mentions("hearsight_core::media", "hearsight"));
    assert!(!mentions("serde_json", "serde"));
}
