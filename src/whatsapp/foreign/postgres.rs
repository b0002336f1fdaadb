//! Stores in a PostgreSQL server, read in one transaction that can write nothing.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use percent_encoding::percent_decode_str;
use postgres::config::SslMode;
use postgres::types::{FromSql, ToSql, Type};
use postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::row::{Cell, Row, Rows};

/// A connection to a database, in a transaction.
pub(super) struct Database {
    client: Client,
}

impl Database {
    pub(super) fn open(url: &str) -> Result<Self> {
        let (url, tls) = Tls::take_from(url)?;
        let mut config: Config = url.parse().context("this is no URL of a PostgreSQL database")?;
        // By this name `refuse_others` knows moonwa's own connections, also those that are just ending.
        config.application_name("moonwa adopt");
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(10));
        }
        if let (None, Ok(password)) = (config.get_password(), std::env::var("PGPASSWORD")) {
            config.password(password);
        }
        let mut client =
            tls.connect(&config).context("the PostgreSQL server does not let moonwa in")?;
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

/// Whether the connection is encrypted, as libpq's URLs say it. Whenever it must be, the server's certificate must be good.
struct Tls {
    mode: SslMode,
    /// Who signs for servers, in place of the authorities that browsers trust.
    roots: Option<String>,
}

impl Tls {
    /// What a URL says of it, and the rest of the URL.
    fn take_from(url: &str) -> Result<(String, Self)> {
        let mut this = Self { mode: SslMode::Prefer, roots: None };
        let Some((place, query)) = url.split_once('?') else { return Ok((url.to_owned(), this)) };
        let mut rest = Vec::new();
        for pair in query.split('&') {
            match pair.split_once('=') {
                Some(("sslmode", "disable")) => this.mode = SslMode::Disable,
                Some(("sslmode", "allow" | "prefer")) => this.mode = SslMode::Prefer,
                Some(("sslmode", "require" | "verify-ca" | "verify-full")) => {
                    this.mode = SslMode::Require;
                }
                Some(("sslmode", other)) => {
                    bail!("sslmode={other}: write disable, prefer, require or verify-full")
                }
                Some(("sslrootcert", "system")) => {}
                Some(("sslrootcert", file)) => {
                    let file = percent_decode_str(file).decode_utf8();
                    this.roots = Some(file.context("sslrootcert is no path")?.into_owned());
                }
                _ => rest.push(pair),
            }
        }
        Ok((format!("{place}?{}", rest.join("&")), this))
    }

    fn connect(&self, config: &Config) -> Result<Client> {
        let mut config = config.clone();
        config.ssl_mode(self.mode);
        if self.mode == SslMode::Disable {
            return Ok(config.connect(NoTls)?);
        }
        let encrypted = config.connect(MakeRustlsConnect::new(self.client_config()?));
        match encrypted {
            // As libpq does when it is only preferred: most servers at home have a certificate that nobody knows.
            Err(error) if self.mode == SslMode::Prefer && error.as_db_error().is_none() => {
                config.ssl_mode(SslMode::Disable);
                Ok(config.connect(NoTls)?)
            }
            encrypted => encrypted.context(
                "with sslmode=require its certificate must be good for its name; sslrootcert=FILE names who signed it",
            ),
        }
    }

    fn client_config(&self) -> Result<ClientConfig> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(file) = &self.roots {
            roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_file_iter(file).with_context(|| file.clone())? {
                roots.add(certificate.with_context(|| file.clone())?)?;
            }
            if roots.is_empty() {
                bail!("{file} has no certificate");
            }
        }
        let provider = Arc::new(ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_url_says_of_tls_is_libpqs() {
        let read = |query: &str| {
            let (url, tls) = Tls::take_from(&format!("postgres://u:p@db/x{query}")).unwrap();
            assert!(url.parse::<Config>().is_ok(), "{url}");
            (tls.mode, tls.roots)
        };
        assert_eq!(read(""), (SslMode::Prefer, None));
        assert_eq!(read("?sslmode=disable&connect_timeout=3"), (SslMode::Disable, None));
        for must in ["require", "verify-ca", "verify-full"] {
            assert_eq!(read(&format!("?sslmode={must}")), (SslMode::Require, None));
        }
        let roots = Some("/etc/ssl/my roots.pem".to_owned());
        assert_eq!(
            read("?sslrootcert=%2Fetc%2Fssl%2Fmy%20roots.pem&sslmode=require&application_name=x"),
            (SslMode::Require, roots)
        );
        assert!(Tls::take_from("postgres://db/x?sslmode=on").is_err());
    }
}
