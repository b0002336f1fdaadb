//! Rows of other gateways' tables, whichever database they are in.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

/// A database that is only read.
pub(super) trait Rows {
    fn has_table(&mut self, name: &str) -> Result<bool>;

    /// Every row that a query finds; `$1` in it is the device, if there is one.
    fn rows(&mut self, query: &str, device: Option<&Cell>) -> Result<Vec<Row>>;
}

#[derive(Clone, Debug)]
pub(super) enum Cell {
    Number(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A row; what is null or of no type that matters here is not in it.
pub(super) struct Row(pub(super) BTreeMap<String, Cell>);

impl Row {
    pub(super) fn field<T: OfCell>(&self, name: &str) -> Result<T> {
        self.get(name).with_context(|| format!("its {name} is missing or damaged"))
    }

    pub(super) fn get<T: OfCell>(&self, name: &str) -> Option<T> {
        self.0.get(name).and_then(T::of)
    }
}

pub(super) trait OfCell: Sized {
    fn of(cell: &Cell) -> Option<Self>;
}

impl OfCell for Cell {
    fn of(cell: &Cell) -> Option<Self> {
        Some(cell.clone())
    }
}

impl OfCell for String {
    fn of(cell: &Cell) -> Option<Self> {
        if let Cell::Text(text) = cell { Some(text.clone()) } else { None }
    }
}

impl OfCell for i64 {
    fn of(cell: &Cell) -> Option<Self> {
        if let Cell::Number(number) = cell { Some(*number) } else { None }
    }
}

impl OfCell for u32 {
    fn of(cell: &Cell) -> Option<Self> {
        i64::of(cell)?.try_into().ok()
    }
}

impl OfCell for bool {
    fn of(cell: &Cell) -> Option<Self> {
        i64::of(cell).map(|number| number != 0)
    }
}

impl OfCell for Vec<u8> {
    fn of(cell: &Cell) -> Option<Self> {
        if let Cell::Bytes(bytes) = cell { Some(bytes.clone()) } else { None }
    }
}

impl<const N: usize> OfCell for [u8; N] {
    fn of(cell: &Cell) -> Option<Self> {
        if let Cell::Bytes(bytes) = cell { bytes.as_slice().try_into().ok() } else { None }
    }
}
