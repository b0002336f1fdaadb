//! Stores in a PostgreSQL server, read in one transaction that can write nothing.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use postgres::types::{FromSql, ToSql, Type};
use postgres::{Client, Config, NoTls};

use super::row::{Cell, Row, Rows};

/// A connection to a database, in a transaction.
pub(super) struct Database {
    client: Client,
}

impl Database {
    pub(super) fn open(url: &str) -> Result<Self> {
        let mut config: Config = url.parse().context("this is no URL of a PostgreSQL database")?;
        // By this name `refuse_others` knows moonwa's own connections, also those that are just ending.
        config.application_name("moonwa adopt");
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(10));
        }
        if let (None, Ok(password)) = (config.get_password(), std::env::var("PGPASSWORD")) {
            config.password(password);
        }
        let client = config.connect(NoTls);
        let mut client = client.context("the PostgreSQL server does not let moonwa in")?;
        client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        Ok(Self { client })
    }

    /// Refuses a database that somebody else is connected to, as a gateway is while it runs.
    pub(super) fn refuse_others(&mut self) -> Result<()> {
        let query = "SELECT application_name::text AS name, host(client_addr) AS address \
                     FROM pg_stat_activity WHERE datname = current_database() \
                     AND application_name <> 'moonwa adopt' AND client_port IS NOT NULL";
        let others = self.rows(query, None)?;
        let Some(first) = others.first() else { return Ok(()) };
        let name: String = first.get("name").unwrap_or_default();
        let address: Option<String> = first.get("address");
        bail!(
            "the database is in use by {} connections, the first from {} {name:?}: stop the gateway that uses it. If it \
             is stopped and these are another program's, say where its API was with --old-url",
            others.len(),
            address.as_deref().unwrap_or("this machine"),
        )
    }
}

impl Rows for Database {
    fn has_table(&mut self, name: &str) -> Result<bool> {
        let found = self.client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&name])?;
        Ok(found.try_get(0)?)
    }

    fn rows(&mut self, query: &str, device: Option<&Cell>) -> Result<Vec<Row>> {
        let device = device.map(|device| match device {
            Cell::Number(number) => number as &(dyn ToSql + Sync),
            Cell::Text(text) => text,
            Cell::Bytes(bytes) => bytes,
        });
        let rows = self.client.query(query, device.as_slice())?;
        Ok(rows.iter().map(row).collect())
    }
}

fn row(row: &postgres::Row) -> Row {
    let cell = |(place, column): (usize, &postgres::Column)| {
        let cell = match *column.type_() {
            Type::BOOL => Cell::Number(value::<bool>(row, place)?.into()),
            Type::INT4 => Cell::Number(value::<i32>(row, place)?.into()),
            Type::INT8 => Cell::Number(value(row, place)?),
            Type::TEXT | Type::VARCHAR => Cell::Text(value(row, place)?),
            Type::BYTEA => Cell::Bytes(value(row, place)?),
            _ => return None,
        };
        Some((column.name().to_owned(), cell))
    };
    Row(row.columns().iter().enumerate().filter_map(cell).collect())
}

fn value<'a, T: FromSql<'a>>(row: &'a postgres::Row, place: usize) -> Option<T> {
    row.try_get::<_, Option<T>>(place).ok().flatten()
}
