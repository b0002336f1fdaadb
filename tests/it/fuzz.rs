//! The corpus of tests/fuzz, and changes of it, through every reader of bytes from outside. `.ci/fuzz` looks for new
//! paths; this keeps the known ones free of panics. MOONWA_FUZZ_INPUTS says how many changed inputs each reader gets.

use std::fs;
use std::path::Path;

use moonwa::fuzzing::TARGETS;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

/// One change of an input.
#[derive(Clone, Debug)]
enum Change {
    Put(Index, u8),
    Insert(Index, Vec<u8>),
    Cut(Index, Index),
    Repeat(Index, Index),
    /// What another input has from there on.
    Splice(Index, Index, Index),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Change::Put(at, byte)),
        (at(), vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (at(), at()).prop_map(|(from, to)| Change::Cut(from, to)),
        (at(), at()).prop_map(|(from, to)| Change::Repeat(from, to)),
        (at(), at(), at()).prop_map(|(here, other, there)| Change::Splice(here, other, there)),
    ]
}

fn apply(mut input: Vec<u8>, change: &Change, seeds: &[Vec<u8>]) -> Vec<u8> {
    let place = |input: &[u8], at: &Index| at.index(input.len() + 1);
    let range = |input: &[u8], one: &Index, other: &Index| {
        let (one, other) = (place(input, one), place(input, other));
        one.min(other)..one.max(other)
    };
    match change {
        Change::Put(_, _) if input.is_empty() => {}
        Change::Put(at, byte) => {
            let at = at.index(input.len());
            input[at] = *byte;
        }
        Change::Insert(at, bytes) => {
            let at = place(&input, at);
            input.splice(at..at, bytes.iter().copied());
        }
        Change::Cut(one, other) => drop(input.drain(range(&input, one, other))),
        Change::Repeat(one, other) => {
            let range = range(&input, one, other);
            let again = input[range.clone()].to_vec();
            input.splice(range.end..range.end, again);
        }
        Change::Splice(here, other, there) => {
            let other = &seeds[other.index(seeds.len())];
            input.truncate(place(&input, here));
            input.extend_from_slice(&other[place(other, there)..]);
        }
    }
    input
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let mut files: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

#[test]
fn no_reader_panics_on_the_corpus_or_on_changes_of_it() {
    let inputs =
        std::env::var("MOONWA_FUZZ_INPUTS").map_or(1_000, |inputs| inputs.parse().unwrap());
    for (name, read) in TARGETS {
        let seeds = corpus(name);
        assert!(!seeds.is_empty(), "tests/fuzz/corpus/{name} is empty");
        for seed in &seeds {
            read(seed);
        }
        let config = Config { cases: inputs, failure_persistence: None, ..Config::default() };
        let changed = (any::<Index>(), vec(change(), 1..6)).prop_map(|(seed, changes)| {
            let seed = seeds[seed.index(seeds.len())].clone();
            changes.iter().fold(seed, |input, change| apply(input, change, &seeds))
        });
        let outcome = TestRunner::new(config).run(&changed, |input| {
            read(&input);
            Ok(())
        });
        if let Err(error) = outcome {
            panic!("{name}: {error}");
        }
    }
}

#[test]
fn each_reader_has_its_target_and_its_corpus() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        let target = fs::read_to_string(root.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(target.contains(&format!("fuzzing::{name}(")), "{target}");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in Cargo.toml");
    }
    let targets = fs::read_dir(root.join("fuzz_targets")).unwrap().count();
    assert_eq!(targets, TARGETS.len(), "a target that no reader has");
}
