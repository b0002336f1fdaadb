//! A proxy as people have them, SOCKS5 or HTTP CONNECT, perhaps with a user and a password. It remembers what went through
//! it; dropping it closes what is open.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// What a proxy speaks.
#[derive(Clone, Copy)]
pub enum Speaks {
    /// SOCKS5.
    Socks5,
    /// HTTP, with CONNECT.
    Http,
}

/// A running proxy.
pub struct Proxy {
    speaks: Speaks,
    login: Option<(String, String)>,
    address: SocketAddr,
    passed: Arc<Mutex<Passed>>,
    accept: AbortHandle,
}

#[derive(Default)]
struct Passed {
    targets: Vec<String>,
    sources: BTreeSet<SocketAddr>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

impl Proxy {
    /// A proxy that asks for this user and password, or for none.
    pub async fn start(speaks: Speaks, login: Option<(&str, &str)>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let login = login.map(|(user, password)| (user.to_owned(), password.to_owned()));
        let passed = Arc::<Mutex<Passed>>::default();
        let (wanted, seen) = (login.clone(), Arc::clone(&passed));
        let accept = tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (wanted, seen) = (wanted.clone(), Arc::clone(&seen));
                open.spawn(async move { serve(speaks, wanted, &seen, stream).await });
            }
        });
        let accept = accept.abort_handle();
        Ok(Self { speaks, login, address, passed, accept })
    }

    /// How `moonwa.toml` names it.
    pub fn url(&self) -> String {
        let login = self.login.as_ref();
        let login = login.map_or(String::new(), |(user, password)| format!("{user}:{password}@"));
        self.url_with(&login)
    }

    /// The same with another user and password, which end with `@`, or none.
    pub fn url_with(&self, login: &str) -> String {
        let scheme = match self.speaks {
            Speaks::Socks5 => "socks5",
            Speaks::Http => "http",
        };
        format!("{scheme}://{login}{}", self.address)
    }

    /// Where tunnels led to, in their order.
    ///
    /// # Panics
    /// When the proxy panicked.
    pub fn targets(&self) -> Vec<String> {
        self.passed.lock().expect("the proxy panicked").targets.clone()
    }

    /// From which addresses it opened them: as whom others saw it.
    ///
    /// # Panics
    /// When the proxy panicked.
    pub fn sources(&self) -> BTreeSet<SocketAddr> {
        self.passed.lock().expect("the proxy panicked").sources.clone()
    }
}

async fn serve(
    speaks: Speaks,
    login: Option<(String, String)>,
    passed: &Mutex<Passed>,
    mut client: TcpStream,
) -> Result<()> {
    let (target, yes): (_, &[u8]) = match speaks {
        Speaks::Socks5 => (socks5(&mut client, login).await?, &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
        Speaks::Http => (connect(&mut client, login).await?, b"HTTP/1.1 200 OK\r\n\r\n"),
    };
    let mut server = TcpStream::connect(&target).await?;
    {
        let mut passed = passed.lock().expect("the proxy panicked");
        passed.sources.insert(server.local_addr()?);
        passed.targets.push(target);
    }
    client.write_all(yes).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

async fn text(client: &mut TcpStream) -> Result<String> {
    let mut bytes = vec![0; client.read_u8().await?.into()];
    client.read_exact(&mut bytes).await?;
    Ok(String::from_utf8(bytes)?)
}

async fn socks5(client: &mut TcpStream, login: Option<(String, String)>) -> Result<String> {
    ensure!(client.read_u8().await? == 5);
    let mut methods = vec![0; client.read_u8().await?.into()];
    client.read_exact(&mut methods).await?;
    let method = if login.is_some() { 2 } else { 0 };
    if !methods.contains(&method) {
        client.write_all(&[5, 0xff]).await?;
        bail!("no common method");
    }
    client.write_all(&[5, method]).await?;
    if login.is_some() {
        ensure!(client.read_u8().await? == 1);
        let given = (text(client).await?, text(client).await?);
        let good = login == Some(given);
        client.write_all(&[1, u8::from(!good)]).await?;
        ensure!(good, "a wrong password");
    }
    let mut request = [0; 4];
    client.read_exact(&mut request).await?;
    let host = match request {
        [5, 1, 0, 1] => {
            let mut address = [0; 4];
            client.read_exact(&mut address).await?;
            std::net::Ipv4Addr::from(address).to_string()
        }
        [5, 1, 0, 3] => text(client).await?,
        other => bail!("{other:?}"),
    };
    Ok(format!("{host}:{}", client.read_u16().await?))
}

async fn connect(client: &mut TcpStream, login: Option<(String, String)>) -> Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let head = String::from_utf8(head)?;
    let target = head.strip_prefix("CONNECT ").context("no CONNECT")?;
    let target = target.split(' ').next().unwrap_or_default().to_owned();
    if let Some((user, password)) = login {
        let basic = STANDARD.encode(format!("{user}:{password}"));
        let given = head.lines().any(|line| {
            line.split_once(": ").is_some_and(|(name, value)| {
                name.eq_ignore_ascii_case("proxy-authorization")
                    && value == format!("Basic {basic}")
            })
        });
        if !given {
            let no = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
            client.write_all(no).await?;
            bail!("a wrong password");
        }
    }
    Ok(target)
}
