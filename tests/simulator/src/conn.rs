//! One connection: WebSocket, frames, handshake, and a loop that carries stanzas between the
//! socket and the world. It knows nothing about what the stanzas mean.

use anyhow::{Context as _, Result, bail};
use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_websockets::{Message, ServerBuilder, WebSocketStream};
use wacore_binary::Node;
use wacore_binary::marshal::{marshal, unmarshal_ref};
use wacore_binary::util::unpack;
use wacore_noise::framing::{FrameDecoder, encode_frame};

use crate::Simulator;
use crate::noise::{Channel, Finished, Hello, hello};
use crate::world::Out;

const HEADER: usize = 4;

struct Socket {
    ws: WebSocketStream<TcpStream>,
    frames: FrameDecoder,
}

impl Socket {
    /// Waits for bytes of the client; `None` is the end.
    async fn bytes(&mut self) -> Result<Option<Bytes>> {
        while let Some(message) = self.ws.next().await {
            let message = message?;
            if message.is_close() {
                return Ok(None);
            }
            if message.is_binary() {
                return Ok(Some(Bytes::from(message.into_payload())));
            }
        }
        Ok(None)
    }

    async fn frame(&mut self) -> Result<Option<BytesMut>> {
        loop {
            if let Some(frame) = self.frames.decode_frame() {
                return Ok(Some(frame));
            }
            match self.bytes().await? {
                Some(bytes) => self.frames.feed(&bytes),
                None => return Ok(None),
            }
        }
    }

    async fn write(&mut self, payload: &[u8]) -> Result<()> {
        self.raw(encode_frame(payload, None)?).await
    }

    async fn raw(&mut self, bytes: Vec<u8>) -> Result<()> {
        self.ws.send(Message::binary(bytes)).await.context("the client is gone")
    }
}

/// Serves one client until either side closes.
pub(crate) async fn serve(sim: Simulator, stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let (_, ws) = ServerBuilder::new().accept(stream).await?;
    let mut socket = Socket { ws, frames: FrameDecoder::new() };
    let prologue = prologue(&mut socket).await?;
    let Some(first) = socket.frame().await? else { return Ok(()) };
    let Some(finished) = handshake(&sim, &mut socket, &first, &prologue).await? else {
        return Ok(());
    };
    let (out, queue) = mpsc::unbounded_channel();
    let Finished { channel, client, payload, pattern } = finished;
    let conn = sim.world().connected(out, client, &payload, pattern);
    let result = talk(&sim, &mut socket, channel, queue, conn).await;
    sim.world().disconnected(conn);
    result
}

/// Reads the edge routing pre-intro, if any, and the four header bytes.
async fn prologue(socket: &mut Socket) -> Result<Vec<u8>> {
    let mut buffer = Vec::new();
    loop {
        let intro = match buffer.as_slice() {
            [b'E', b'D', _, _, a, b, c, ..] => {
                7 + ((usize::from(*a) << 16) | (usize::from(*b) << 8) | usize::from(*c))
            }
            [b'E', b'D', ..] => usize::MAX - HEADER,
            _ => 0,
        };
        if let Some(rest) = buffer.get(intro + HEADER..) {
            let header = buffer.get(intro..intro + HEADER).unwrap_or_default().to_vec();
            if !header.starts_with(b"WA") {
                bail!("not a WhatsApp client: {header:02x?}");
            }
            socket.frames.feed(rest);
            return Ok(header);
        }
        match socket.bytes().await? {
            Some(bytes) => buffer.extend_from_slice(&bytes),
            None => bail!("closed before the header"),
        }
    }
}

async fn handshake(
    sim: &Simulator,
    socket: &mut Socket,
    first: &[u8],
    prologue: &[u8],
) -> Result<Option<Finished>> {
    let answer = {
        let mut world = sim.world();
        let refuse = world.faults.strikes(None, &crate::Fault::IkReject);
        hello(&world.identity, first, prologue, refuse)?
    };
    match answer {
        Hello::Done(reply, finished) => {
            socket.write(&reply).await?;
            Ok(Some(*finished))
        }
        Hello::Wait(reply, pending) => {
            socket.write(&reply).await?;
            let Some(frame) = socket.frame().await? else { return Ok(None) };
            Ok(Some(pending.finish(&frame)?))
        }
    }
}

fn stanza(channel: &mut Channel, frame: BytesMut) -> Result<Node> {
    let plain = channel.open(frame)?;
    let unpacked = unpack(&plain)?;
    Ok(unmarshal_ref(&unpacked)?.to_owned())
}

async fn talk(
    sim: &Simulator,
    socket: &mut Socket,
    mut channel: Channel,
    mut queue: mpsc::UnboundedReceiver<Out>,
    conn: u64,
) -> Result<()> {
    // What a deaf connection did not read is only looked at when it is over: whether it was well encrypted.
    let mut deaf = false;
    loop {
        tokio::select! {
            frame = socket.frame(), if !deaf => {
                let Some(frame) = frame? else { return Ok(()) };
                let node = stanza(&mut channel, frame)?;
                sim.world().stanza(conn, &node);
            }
            out = queue.recv() => match out {
                Some(Out::Deafen) => deaf = true,
                Some(Out::Close | Out::Abort | Out::Reset) | None if deaf => {
                    while let Some(frame) = socket.frame().now_or_never() {
                        let Some(frame) = frame? else { return Ok(()) };
                        let node = stanza(&mut channel, frame)?;
                        sim.world().unheard(conn, &node);
                    }
                    return Ok(());
                }
                Some(_) if deaf => {}
                Some(Out::Stanza(node)) => {
                    let sealed = channel.seal(&marshal(&node)?)?;
                    socket.write(&sealed).await?;
                }
                Some(Out::Wait(wait)) => tokio::time::sleep(wait).await,
                Some(Out::BadMac) => {
                    let mut sealed = channel.seal(b"\0nothing")?;
                    if let Some(last) = sealed.last_mut() {
                        *last ^= 1;
                    }
                    socket.write(&sealed).await?;
                }
                Some(Out::HalfFrame) => {
                    let sealed = channel.seal(&[0; 64])?;
                    let mut frame = encode_frame(&sealed, None)?;
                    frame.truncate(frame.len() / 2);
                    socket.raw(frame).await?;
                    return Ok(());
                }
                Some(Out::Abort) => return Ok(()),
                Some(Out::Reset) => {
                    socket.ws.get_ref().set_zero_linger()?;
                    return Ok(());
                }
                Some(Out::Close) | None => {
                    // The client may be gone already: closing twice is no failure.
                    drop(socket.ws.close().await);
                    return Ok(());
                }
            }
        }
    }
}
