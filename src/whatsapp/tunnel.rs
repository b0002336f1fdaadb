//! A way through a proxy. Whatever goes through it is encrypted for WhatsApp as without one, so the proxy learns the host
//! alone; its name is resolved by the proxy.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1::handshake;
use hyper::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_socks::tcp::Socks5Stream;
use wa_rs::anyhow::{self, Context, bail};

use crate::config::{Proxy, ProxyProtocol};
use crate::model::Secret;

/// Makes a connection to a proxy one to that host.
pub(crate) async fn through(
    proxy: &Proxy,
    stream: TcpStream,
    host: &str,
    port: u16,
) -> anyhow::Result<TcpStream> {
    let login = proxy.login.as_ref().map(|(user, password)| (user.expose(), password.expose()));
    match proxy.protocol {
        ProxyProtocol::Socks5 => socks5(stream, (host, port), login).await,
        ProxyProtocol::Http => connect(stream, (host, port), login).await,
    }
}

/// What the proxy says by refusing us.
fn refused(login: Option<(&str, &str)>) -> anyhow::Error {
    match login {
        Some(_) => anyhow::anyhow!("the proxy refused: wrong user or password"),
        None => anyhow::anyhow!("the proxy refused: it wants a user and a password"),
    }
}

async fn socks5(
    stream: TcpStream,
    target: (&str, u16),
    login: Option<(&str, &str)>,
) -> anyhow::Result<TcpStream> {
    use tokio_socks::Error;
    let opened = match login {
        Some((user, password)) => {
            Socks5Stream::connect_with_password_and_socket(stream, target, user, password).await
        }
        None => Socks5Stream::connect_with_socket(stream, target).await,
    };
    match opened {
        Ok(tunnel) => Ok(tunnel.into_inner()),
        Err(
            Error::PasswordAuthFailure(_)
            | Error::NoAcceptableAuthMethods
            | Error::AuthorizationRequired,
        ) => Err(refused(login)),
        Err(error) => Err(error).context("the proxy refused"),
    }
}

async fn connect(
    stream: TcpStream,
    (host, port): (&str, u16),
    login: Option<(&str, &str)>,
) -> anyhow::Result<TcpStream> {
    let target =
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let mut request = Request::builder().method(Method::CONNECT).uri(&target).header(HOST, &target);
    if let Some((user, password)) = login {
        let basic = Secret::new(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))));
        let mut header = HeaderValue::from_str(basic.expose())?;
        header.set_sensitive(true);
        request = request.header(PROXY_AUTHORIZATION, header);
    }
    let request = request.body(Empty::<Bytes>::new())?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    // With its end the sender is dropped, and the connection ends too.
    let opened = async move {
        let answer = sender.send_request(request).await.context("the proxy refused")?;
        match answer.status() {
            status if status.is_success() => Ok(hyper::upgrade::on(answer).await?),
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => Err(refused(login)),
            status => bail!("the proxy refused: {status}"),
        }
    };
    let (opened, _) = tokio::join!(opened, connection.with_upgrades());
    let parts = opened?.downcast::<TokioIo<TcpStream>>().ok().context("no tunnel")?;
    if !parts.read_buf.is_empty() {
        bail!("the proxy says something in WhatsApp's place");
    }
    Ok(parts.io.into_inner())
}
