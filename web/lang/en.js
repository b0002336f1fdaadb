// English. Controls that docs.moonwa.id names (START SESSION, Session Name, Receiver, …) keep its words in both languages.
export default `add Add Device
bin Delete device
cancel Cancel
close Close
copied Copied
copy Copy
leave Sign out of this page
loading Loading
logout Log out
lost No connection to moonwa. Trying again…
nav Main menu
number Number
reconnect Reconnect
settings Settings
settings_of Settings of {device}
skip Skip to content
status Status
stop Stop
theme Light or dark
tools Page options
a.ambiguous The receiver failed each time.
a.connect No connection
a.dns Name not found
a.forbidden Webhooks may not go to that address.
a.hung_up The receiver hung up.
a.message The receiver refused this message.
a.none No answer
a.queue_full The send queue is full.
a.request The URL or a header is not valid.
a.timeout Timeout
a.tls The certificate is not valid
api.answers Answers
api.body Body
api.find Search the API
api.given Parameters
api.needed required
api.why Everything this page does, for programs.
c.alarm moonwa.toml has problems. The old configuration still runs.
c.applied The file is in force
c.ask What would change?
c.at Last reload
c.by.api this page or the API
c.by.file a save
c.by.signal a signal
c.by.start the start
c.changed Changed
c.kept The running configuration stays as it was until these are mended.
c.line Line {line}, column {column}
c.masked Secrets are not shown.
c.rejected moonwa.toml has problems
c.reload Reload
c.revision Revision
c.running In force
c.trigger Because of
c.unchanged Nothing has changed
c.version Version
c.watched A save of moonwa.toml takes effect within a second.
c.would A reload would do this
d.account Account
d.delete_1 Log out, which unlinks it from WhatsApp
d.delete_2 In moonwa.toml delete the table
d.delete_3 Then run
d.delete_q Delete {device}?
d.delete_readonly moonwa may not write moonwa.toml here, so deleting takes three steps. This cannot be undone.
d.delete_why {device} is unlinked from WhatsApp; its credentials and its lines in moonwa.toml are removed. This cannot be undone.
d.deleted {device} is deleted.
d.hooks Deliveries
d.in Last message in
d.linked {device} is linked.
d.logout_q Log out {device}?
d.logout_why The number is unlinked and its credentials are forgotten. To use it again, scan a new QR.
d.missing No device “{device}”
d.missing_why It is not, or no longer, in moonwa.toml.
d.not_told {device} is deleted, but WhatsApp could not be told: remove it on the phone too.
d.out Last message out
d.proof WhatsApp last answered
d.since_down Down since
d.since_up Connected since
devices.find Search name or number
devices.in Last message in
devices.last Last message
devices.name Session Name
devices.none Link your first number
devices.none_why Press Add Device, give it a name such as “Admin Toko”, then scan one QR code with your phone.
devices.nothing No device matches.
devices.out Last message out
devices.proof Answered
devices.sum {up} of {n} connected
e.463 WhatsApp does not let this number write to new contacts for now.
e.already_linked This device is linked already.
e.config_invalid moonwa.toml would not be valid so:
e.config_read_only Paste these lines into moonwa.toml and save.
e.conflict Something else changed meanwhile. Look again, then repeat.
e.cross_site Another site asked for this. Open the page itself.
e.device_not_connected This device is not connected.
e.device_not_found This device does not exist any more.
e.disabled This device is switched off in moonwa.toml.
e.disk_full The server's disk is full.
e.edit_conflict moonwa.toml was edited elsewhere meanwhile. This form now shows that, and keeps what you wrote. Look again, then save.
e.event_not_found This event is no longer kept.
e.expired It waited too long and was not sent.
e.forbidden That is not allowed here.
e.host_not_allowed The page does not answer to this address. Add it to [server] hosts.
e.idempotency_conflict This was sent already with other contents.
e.internal moonwa ran into a fault. Its log says more.
e.invalid_request Something in this form is not right.
e.media_expired WhatsApp no longer has this file.
e.media_failed The file could not be sent.
e.media_fetch_failed The file could not be fetched from that URL.
e.media_too_large The file is too large.
e.media_type_mismatch The file is of another kind than the message.
e.media_unavailable The file could not be fetched from that URL.
e.media_url_denied moonwa does not fetch files from such an address.
e.message_not_found This message is no longer kept.
e.method_not_allowed That does not work here.
e.no_qr No QR code is live. Start again.
e.not_asked WhatsApp did not ask for this.
e.not_found There is nothing here.
e.not_on_whatsapp This number is not on WhatsApp.
e.offline moonwa cannot be reached. Is it running?
e.queue_full Too many messages are waiting. Try again shortly.
e.send_failed WhatsApp did not take it.
e.sending_locked WhatsApp does not let this number write to new contacts for now.
e.shutting_down moonwa is shutting down.
e.store_failed moonwa could not write to its disk.
e.timeout That took too long. Try again.
e.too_large The file is too large.
e.too_many_attempts Too many attempts. Wait {n} seconds.
e.too_many_streams Too many pages are open.
e.unauthorized Please sign in again.
e.unsupported_media_type This kind of file cannot be sent that way.
e.webhook_not_found This webhook does not exist any more.
e.whatsapp_refused WhatsApp refused that.
e.whatsapp_timeout WhatsApp did not answer in time.
f.caption Caption
f.emoji Emoji
f.file or a file from this device
f.latitude Latitude
f.longitude Longitude
f.message Message id
f.name Name
f.number Number
f.options Options, one per line
f.question Question
f.text Message
f.url File URL
k.audio Audio
k.contact Contact
k.document Document
k.forward Forwarded message
k.image Image
k.location Location
k.poll Poll
k.reaction Reaction
k.sticker Sticker
k.text Text
k.unavailable Not on linked devices
k.video Video
k.voice Voice note
l.android Tap ⋮ › Linked devices › Link a device
l.bycode Cannot scan? Link with your phone number
l.bycode_why For when this page is open on the phone itself: you get a code to type into WhatsApp.
l.code_left Valid for {n} s
l.expired The QR code has expired. Press the button to start again.
l.failed The QR code did not load.
l.getcode Get the code
l.how How to link
l.idle Have your phone ready, then press the button.
l.ios Settings › Linked Devices › Link Device
l.left New code in {n} s
l.os Your phone
l.phone WhatsApp number, with country code
l.qr QR code to scan with WhatsApp
l.ready The QR code is ready.
l.reload Load again
l.s0 Open WhatsApp on your phone
l.s_code Choose “Link with phone number instead” and type the code
l.s_scan Point the phone at this screen until the code is read
l.type Type this code into WhatsApp
l.wait Contacting WhatsApp…
lang.other ID
lang.switch ID – ganti ke Bahasa Indonesia
login.empty Please enter the admin token.
login.expired That login link no longer works. Restart moonwa for a new one.
login.go Sign in
login.intro Sign in with the admin token of moonwa.toml.
login.link_only Open the login link that moonwa printed in its terminal. For a token instead, set [admin] token in moonwa.toml.
login.title Welcome to moonwa
login.token Admin token
login.wrong This token is not right. Check for a missing character.
m.all Everything
m.call.offer Call
m.device.state Device status
m.group group
m.group.updated Group changed
m.identity.resolved Number found
m.kind Kind
m.message.edited Edited
m.message.reaction Reaction
m.message.received Received
m.message.revoked Deleted
m.message.sent Sent on the phone
m.message.status Delivery status
m.none Nothing yet
m.none_why Messages appear here the moment they come in or go out.
m.out Sent by moonwa
m.poll.vote Vote
m.texts Show texts
n.bad 7 to 15 digits, with country code, for example 6281234567890.
n.zero Write the number with its country code: {example}
nav.api API reference
nav.config Config
nav.devices Device
nav.messages Messages
nav.send Single Send
nav.webhooks Webhook
p.answer Paste the answer here
p.bad That is not the answer from the console. It starts with an opening brace.
p.confirm Compare this code with the one on your phone. If they are the same, confirm.
p.copy Copy the script
p.match The codes match
p.request WhatsApp wants your passkey first. Browsers give it only at WhatsApp's own address, so take the question there:
p.s1 Open web.whatsapp.com in a browser that can use your passkey
p.s2 Press F12, choose Console, paste the script and press Enter
p.s3 Confirm with your passkey; the answer is now in the clipboard
p.send Send the answer
p.title Passkey
r.asked Reconnecting, as asked.
r.banned WhatsApp has banned this number.
r.banned.until WhatsApp has banned this number until {until}.
r.cancelled Linking was cancelled.
r.closed The connection was closed.
r.crashed The connection failed and is being started again.
r.disabled Switched off in moonwa.toml (enabled = false).
r.link_failed Linking did not work. Please start again.
r.logged_out Logged out here. Scan a new QR to use it again.
r.next Next try {when}
r.outdated WhatsApp no longer accepts this version of moonwa. Please update moonwa.
r.qr_expired The QR code has expired. Start again.
r.refused WhatsApp refused the login ({detail}). Scan a new QR.
r.replaced Another program took over this session.
r.sending_locked WhatsApp does not let this number write to new contacts for now.
r.sending_locked.until WhatsApp does not let this number write to new contacts until {until}.
r.server_error WhatsApp reported a fault ({detail}).
r.shutdown moonwa is shutting down.
r.starting Connecting to WhatsApp…
r.stopped Stopped by you.
r.store_failing moonwa cannot write to its disk. Check free space.
r.unlinked Unlinked on the phone. Scan a new QR.
r.unproven WhatsApp has not answered lately.
r.unreachable WhatsApp cannot be reached. Check the server's network.
s.country Country code
s.country_why Lets 0812… be written for 62812…
s.enabled Switched on
s.events Events
s.format Format
s.generate_q Make a new API key?
s.generate_why The old key stops working at once. Programs that use it need the new one.
s.hook_more Secret, events, format
s.hooks_why Incoming messages are sent to up to four addresses.
s.key_bad This name is taken, or has other signs than a–z, 0–9, - and _.
s.key_once Shown only now: copy it. An old key stops working once this one is in force.
s.key_why Programs send with this key. It is kept only as a hash and cannot be shown again.
s.label_ph Admin Toko
s.lines Show the lines for moonwa.toml
s.more More settings
s.name Name in addresses and logs
s.name_first Give it a Session Name first.
s.pace At most so many messages
s.pace_why For example 20/min. Empty: no limit.
s.paste For moonwa.toml
s.paste_why Paste these lines into moonwa.toml and save. No restart is needed.
s.readonly moonwa may not write moonwa.toml here: it gives you the lines to paste.
s.save Save
s.saved Saved and in force.
s.secret_kept Set; empty keeps it
s.secret_make Generate and copy
s.secret_none None
s.secret_unset Remove
s.secret_why Signs every request, so that the receiver can tell it is from moonwa.
state.linking Waiting for the phone.
state.pending Press START SESSION to link it.
t.accepted Accepted by WhatsApp
t.delivered Delivered
t.failed Failed
t.played Played
t.queued Queued
t.read Read
t.sent Sent
w.answered The receiver answers {status}. moonwa keeps trying; nothing is lost and the order stays.
w.attempts Last attempts
w.backlog Waiting
w.bad Failing
w.body The message
w.dead Dead letters ({n})
w.dead_why The receiver refused these messages for good. The ones behind them went on.
w.delivered Delivered
w.failing {n} failing · {waiting} waiting
w.fine {n} in order
w.from From
w.gone Ended by the receiver (410)
w.idle Nothing sent yet
w.ms {n} ms
w.next Next try
w.no_answer The answer was empty.
w.none None
w.none_t No webhook yet
w.none_why Name the receiver of incoming messages in the settings.
w.ok In order
w.pause Pause
w.paused Paused
w.paused_n {n} paused · {waiting} waiting
w.replay Replay…
w.replay_why Everything since then goes to this webhook once more, with the same ids.
w.replaying The replay has started.
w.resume Resume
w.retry Retry
w.since Failing since
w.test Test
w.tries {n} tries
w.tries.one {n} try
w.waiting {n} waiting
x.curl The same request as curl
x.example Hello, this is a test message from moonwa!
x.found On WhatsApp
x.missing Please fill in this field.
x.send Send
x.upload Upload`;
