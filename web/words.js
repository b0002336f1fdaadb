// Every sentence of the page: its key or keys, English | Indonesian; once where both say it. What
// docs.moonwa.id names (START SESSION, Session Name, …) is called so in both languages.
export default `bin Delete device | Hapus perangkat
cancel Cancel | Batal
close Close | Tutup
copied Copied | Tersalin
copy Copy | Salin
leave Sign out of this page | Keluar dari halaman ini
loading Loading | Memuat
lost No connection to moonwa. Trying again… | Tidak terhubung ke moonwa. Mencoba lagi…
nav Main menu | Menu utama
number,f.number Number | Nomor
reconnect Reconnect | Hubungkan ulang
settings Settings
settings_of Settings of {device} | Settings {device}
skip Skip to content | Langsung ke isi
status Status
stop Stop | Hentikan
theme Light or dark | Terang atau gelap
tools Page options | Pilihan halaman
a.ambiguous The receiver failed each time. | Penerima selalu gagal.
a.connect No connection | Tidak tersambung
a.dns Name not found | Nama tidak ditemukan
a.forbidden Webhooks may not go there. | Webhook tidak boleh ke sana.
a.hung_up The receiver hung up. | Penerima memutus sambungan.
a.message The receiver refused this message. | Penerima menolak pesan ini.
a.none,a.timeout No answer | Tidak ada jawaban
a.queue_full The send queue is full. | Antrean kirim penuh.
a.request The URL or a header is not valid. | URL atau header tidak sah.
a.tls The certificate is not valid. | Sertifikat tidak sah.
api.answers Answers | Jawaban
api.find Search the API | Cari di API
api.given Parameters | Parameter
api.needed required | wajib
api.why Everything this page does, for programs. | Semua yang dilakukan halaman ini, untuk program.
c.alarm moonwa.toml has problems. The old configuration still runs.
	| moonwa.toml bermasalah. Konfigurasi lama masih berjalan.
c.applied The file is in force | Berkas sudah berlaku
c.ask,c.would What would change? | Apa yang akan berubah?
c.at Last reload | Terakhir dimuat
c.by.api this page or the API | halaman ini atau API
c.by.file a save | penyimpanan
c.by.signal a signal | sinyal
c.by.start the start | awal
c.changed Changed | Berubah
c.kept The old configuration runs until these are mended.
	| Konfigurasi lama berjalan sampai ini diperbaiki.
c.line Line {line}, column {column} | Baris {line}, kolom {column}
c.masked Secrets are not shown. | Rahasia tidak ditampilkan.
c.rejected moonwa.toml has problems | moonwa.toml bermasalah
c.reload,l.reload Reload | Muat ulang
c.revision Revision | Revisi
c.running In force | Yang berlaku
c.trigger Because of | Karena
c.unchanged Nothing has changed | Tidak ada perubahan
c.version Version | Versi
c.watched A save takes effect within a second. | Penyimpanan berlaku dalam satu detik.
d.account Account | Akun
d.delete_1 Log out, which unlinks it from WhatsApp | Log out, agar lepas dari WhatsApp
d.delete_2 In moonwa.toml delete the table | Di moonwa.toml hapus tabel
d.delete_3 Then run | Lalu jalankan
d.delete_q Delete {device}? | Hapus {device}?
d.delete_readonly moonwa may not write moonwa.toml here. By hand, and for good:
	| moonwa tidak boleh menulis moonwa.toml di sini. Dengan tangan, dan untuk seterusnya:
d.delete_why It is unlinked and removed from moonwa.toml. This cannot be undone.
	| Dilepas dan dihapus dari moonwa.toml. Tidak dapat dibatalkan.
d.deleted {device} is deleted. | {device} sudah dihapus.
d.hooks Deliveries | Pengiriman
d.in Last message in | Pesan masuk terakhir
d.linked {device} is linked. | {device} sudah tertaut.
d.logout_q Log out {device}?
d.logout_why The number is unlinked. To use it again, scan a new QR.
	| Nomor dilepas. Untuk memakainya lagi, pindai QR baru.
d.missing No device “{device}” | Perangkat “{device}” tidak ada
d.missing_why It is not in moonwa.toml. | Perangkat ini tidak ada di moonwa.toml.
d.not_told {device} is deleted, but WhatsApp was not told: remove it on the phone too.
	| {device} dihapus, tetapi WhatsApp belum tahu: hapus juga di HP.
d.out Last message out | Pesan keluar terakhir
d.proof WhatsApp last answered | WhatsApp terakhir menjawab
d.since_down Down since | Terputus sejak
d.since_up Connected since | Terhubung sejak
devices.find Search name or number | Cari nama atau nomor
devices.last Last message | Pesan terakhir
devices.none Link your first number | Tautkan nomor pertama Anda
devices.none_why Press Add Device, give it a name, and scan one QR code with your phone.
	| Tekan Add Device, beri nama, lalu pindai satu kode QR dengan HP Anda.
devices.nothing No device matches. | Tidak ada perangkat yang cocok.
devices.proof Answered | Menjawab
devices.sum {up} of {n} connected | {up} dari {n} terhubung
e.config_invalid moonwa.toml would not be valid so: | moonwa.toml jadi tidak sah:
e.config_read_only,s.paste_why Paste these lines into moonwa.toml and save.
	| Tempel baris ini di moonwa.toml lalu simpan.
e.conflict Something changed meanwhile. Look again. | Ada perubahan lain. Periksa lagi.
e.device_not_connected This device is not connected. | Perangkat ini tidak terhubung.
e.device_not_found This device does not exist any more. | Perangkat ini sudah tidak ada.
e.disk_full The server's disk is full. | Disk server penuh.
e.edit_conflict moonwa.toml was edited elsewhere meanwhile. Look again, then save.
	| moonwa.toml disunting di tempat lain. Periksa lagi, lalu simpan.
e.expired It waited too long and was not sent. | Terlalu lama menunggu, jadi tidak dikirim.
e.internal moonwa ran into a fault. Its log says more. | Terjadi gangguan di moonwa. Lihat log-nya.
e.invalid_request Something here is not right. | Ada isian yang belum benar.
e.media_failed The file could not be sent. | Berkas tidak bisa dikirim.
e.media_fetch_failed,e.media_unavailable The file could not be fetched from that URL.
	| Berkas tidak bisa diambil dari URL itu.
e.media_type_mismatch,e.unsupported_media_type The file is of another kind than the message.
	| Jenis berkas tidak cocok dengan jenis pesan.
e.media_url_denied moonwa does not fetch files from such an address.
	| moonwa tidak mengambil berkas dari alamat itu.
e.message_not_found This message is no longer kept. | Pesan ini sudah tidak disimpan.
e.not_asked WhatsApp did not ask for this. | WhatsApp tidak memintanya.
e.not_on_whatsapp This number is not on WhatsApp. | Nomor ini tidak ada di WhatsApp.
e.offline moonwa cannot be reached. Is it running? | moonwa tidak dapat dihubungi. Apakah berjalan?
e.other It did not work: {detail} | Tidak berhasil: {detail}
e.queue_full Too many messages are waiting. | Terlalu banyak pesan menunggu.
e.send_failed,e.whatsapp_refused WhatsApp did not take it. | WhatsApp tidak menerimanya.
e.store_failed,r.store_failing moonwa cannot write to its disk. | moonwa tidak bisa menulis ke disk.
e.timeout,e.whatsapp_timeout That took too long. Try again. | Terlalu lama. Coba lagi.
e.too_large,e.media_too_large The file is too large. | Berkas terlalu besar.
e.too_many_attempts Too many attempts. Wait {n} seconds. | Terlalu sering. Tunggu {n} detik.
f.caption Caption | Keterangan
f.emoji Emoji
f.file or a file from this device | atau berkas dari perangkat ini
f.latitude Latitude | Lintang
f.longitude Longitude | Bujur
f.mentions Mentioned numbers, with commas | Nomor yang disebut, dengan koma
f.message Message id | Id pesan
f.name Name | Nama
f.options Options, one per line | Pilihan, satu per baris
f.question Question | Pertanyaan
f.reply_to Reply to message id | Balasan untuk id pesan
f.text Message | Pesan
f.url File URL | URL berkas
f.view_once View once | Sekali lihat
k.audio Audio
k.contact Contact | Kontak
k.document Document | Dokumen
k.forward Forward | Teruskan
k.image Image | Gambar
k.location Location | Lokasi
k.poll Poll | Polling
k.reaction,m.message.reaction Reaction | Reaksi
k.sticker Sticker | Stiker
k.text Text | Teks
k.unavailable Not on linked devices | Tidak ada di perangkat tertaut
k.video Video
k.voice Voice note | Pesan suara
l.android ⋮ › Linked devices › Link a device | ⋮ › Perangkat tertaut › Tautkan perangkat
l.bycode Cannot scan? Link with your phone number | Tidak bisa memindai? Pakai nomor telepon
l.bycode_why You get a code to type into WhatsApp. | Anda mendapat kode untuk diketik di WhatsApp.
l.code_left Valid for {n} s | Berlaku {n} dtk lagi
l.expired The QR code has expired. Press the button to start again.
	| Kode QR kedaluwarsa. Tekan tombol untuk mulai lagi.
l.failed The QR code did not load. | Kode QR gagal dimuat.
l.getcode Get the code | Minta kode
l.how How to link | Cara menautkan
l.idle Have your phone ready, then press the button. | Siapkan HP Anda, lalu tekan tombol ini.
l.ios Settings › Linked Devices › Link Device | Pengaturan › Perangkat Tertaut › Tautkan Perangkat
l.left New code in {n} s | Kode baru dalam {n} dtk
l.life Time left | Sisa waktu
l.phone WhatsApp number, with country code | Nomor WhatsApp, dengan kode negara
l.qr QR code to scan with WhatsApp | Kode QR untuk dipindai dengan WhatsApp
l.ready The QR code is ready. | Kode QR sudah siap.
l.s0 Open WhatsApp on your phone | Buka WhatsApp di HP
l.s_code Choose “Link with phone number instead” and type the code
	| Pilih “Tautkan dengan nomor telepon saja”, ketik kodenya
l.s_scan Point the phone at this screen | Arahkan kamera HP ke layar ini
l.type Type this code into WhatsApp | Ketik kode ini di WhatsApp
lang.switch ID – ganti ke Bahasa Indonesia | EN – switch to English
login.empty Please enter the admin token. | Isi dulu token admin.
login.expired That login link no longer works. Restart moonwa for a new one.
	| Tautan masuk itu tidak berlaku lagi. Jalankan ulang moonwa.
login.go Sign in | Masuk
login.intro Sign in with the admin token of moonwa.toml. | Masuk dengan token admin moonwa.toml.
login.link_only Open the login link that moonwa printed in its terminal.
	| Buka tautan masuk yang ditampilkan moonwa di terminal.
login.title Welcome to moonwa | Selamat datang di moonwa
login.token Admin token | Token admin
login.wrong This token is not right. | Token ini salah.
m.all Everything | Semua
m.call.offer Call | Panggilan
m.device.state Device status | Status perangkat
m.devices All devices | Semua perangkat
m.gowa GoWA
m.group group | grup
m.group.updated Group changed | Grup berubah
m.identity.resolved Number found | Nomor ditemukan
m.kind Kind | Jenis
m.message.edited Edited | Disunting
m.message.received Received | Masuk
m.message.revoked Deleted | Dihapus
m.message.sent Sent on the phone | Dikirim dari HP
m.message.status Delivery status | Status kiriman
m.none Nothing yet | Belum ada apa-apa
m.none_why Messages appear here the moment they come in or go out.
	| Pesan muncul di sini begitu ada.
m.out Sent by moonwa | Dikirim moonwa
m.poll.vote Vote | Suara
m.texts Show texts | Tampilkan teks
m.waha WAHA
n.bad 7 to 15 digits, with country code, for example 6281234567890.
	| 7 sampai 15 angka, dengan kode negara, misalnya 6281234567890.
n.zero Write the number with its country code: {example} | Tulis nomor dengan kode negara: {example}
nav.api API reference | Referensi API
nav.config Config
nav.devices Device
nav.messages Messages | Pesan
nav.send Single Send
nav.webhooks Webhook
p.answer Paste the answer here | Tempel jawabannya di sini
p.bad That is not the answer from the console. | Itu bukan jawaban dari konsol.
p.confirm Compare this code with the one on your phone. | Bandingkan kode ini dengan yang ada di HP.
p.match The codes match | Kodenya sama
p.request WhatsApp wants your passkey first. Browsers give it only at WhatsApp's own address:
	| WhatsApp meminta passkey Anda dulu, di alamatnya sendiri:
p.s1 Open web.whatsapp.com in a browser that can use your passkey
	| Buka web.whatsapp.com di browser yang bisa memakai passkey Anda
p.s2 Copy the script, press F12 there, choose Console, paste it, press Enter
	| Salin skrip, tekan F12 di sana, pilih Console, tempel, tekan Enter
p.s3 Confirm with your passkey: the answer is in the clipboard
	| Konfirmasi dengan passkey: jawabannya ada di papan klip
p.send Send the answer | Kirim jawaban
r.banned WhatsApp has banned this number. | WhatsApp memblokir nomor ini.
r.cancelled Linking was cancelled. | Penautan dibatalkan.
r.closed The connection was closed. | Koneksi tertutup.
r.crashed The connection failed and is being started again. | Koneksi gagal dan dijalankan lagi.
r.disabled Switched off in moonwa.toml. | Dimatikan di moonwa.toml.
r.link_failed Linking did not work. Please start again. | Penautan gagal. Silakan mulai lagi.
r.logged_out Logged out here. Scan a new QR to use it again. | Sudah log out. Pindai QR baru.
r.next Next try {when} | Mencoba lagi {when}
r.outdated WhatsApp no longer accepts this version. Update moonwa.
	| WhatsApp menolak versi ini. Perbarui moonwa.
r.qr_expired The QR code has expired. Start again. | Kode QR kedaluwarsa. Mulai lagi.
r.refused WhatsApp refused the login ({detail}). | WhatsApp menolak login ({detail}).
r.replaced Another program took over this session. | Program lain mengambil alih sesi ini.
r.sending_locked,e.sending_locked,e.463 WhatsApp keeps this number from new contacts for now.
	| Untuk sementara nomor ini tidak boleh menulis ke kontak baru.
r.server_error WhatsApp reported a fault ({detail}). | WhatsApp melaporkan gangguan ({detail}).
r.shutdown,e.shutting_down moonwa is shutting down. | moonwa sedang dimatikan.
r.starting,r.asked,l.wait Connecting to WhatsApp… | Menghubungi WhatsApp…
r.stopped Stopped by you. | Anda menghentikannya.
r.until Until {when}. | Sampai {when}.
r.unlinked Unlinked on the phone. Scan a new QR. | Tautan dilepas dari HP. Pindai QR baru.
r.unproven WhatsApp has not answered lately. | WhatsApp belum menjawab belakangan ini.
r.unreachable WhatsApp cannot be reached. | WhatsApp tidak dapat dihubungi.
s.compat Signature headers of | Header tanda tangan
s.country Country code | Kode negara
s.country_why Lets 0812… be written for 62812… | Agar 0812… boleh ditulis untuk 62812…
s.earliest everything that is kept | semua yang disimpan
s.enabled Switched on | Aktif
s.events Events | Peristiwa
s.format Format
s.generate_q Make a new API key? | Buat API key baru?
s.generate_why The old key stops working at once. Programs that use it need the new one.
	| Kunci lama langsung tidak berlaku. Programnya perlu kunci baru.
s.headers Headers, one per line | Header, satu per baris
s.hook_more Secret, events, format | Secret, peristiwa, format
s.hooks_why Incoming messages go to up to four addresses. | Pesan masuk diteruskan ke empat alamat.
s.key_bad This name is taken, or has signs beside a–z, 0–9, - and _.
	| Nama ini sudah dipakai, atau berisi selain a–z, 0–9, - dan _.
s.key_once Shown only now: copy it. | Hanya tampil sekarang: salin.
s.key_why Programs send with this key. It cannot be shown again.
	| Program mengirim dengan kunci ini. Tidak bisa ditampilkan lagi.
s.lines Show the lines for moonwa.toml | Tampilkan baris untuk moonwa.toml
s.more More settings | Setelan lain
s.name Name in addresses and logs | Nama di alamat dan log
s.name_first Give it a Session Name first. | Isi dulu Session Name.
s.pace At most so many messages | Paling banyak sekian pesan
s.pace_why For example 20/min. Empty: no limit. | Misalnya 20/min. Kosong: tanpa batas.
s.paste For moonwa.toml | Untuk moonwa.toml
s.paused,w.paused Paused | Dijeda
s.readonly moonwa may not write moonwa.toml here: paste the lines.
	| moonwa tidak boleh menulis moonwa.toml di sini: tempel barisnya.
s.save Save | Simpan
s.saved Saved and in force. | Tersimpan dan berlaku.
s.secret Secret
s.secret_kept Set; empty keeps it | Sudah ada; kosong tetap memakainya
s.secret_make Generate and copy | Generate dan salin
s.secret_why Signs every request, as proof that it is from moonwa.
	| Menandatangani kiriman: bukti dari moonwa.
s.start When it is new, begin with | Saat baru, mulai dengan
s.tail what comes from now on | yang datang sejak sekarang
s.timeout Longest wait for an answer | Waktu tunggu jawaban
s.unset Remove the secret | Hapus secret
state.linking Waiting for the phone. | Menunggu HP.
state.pending Press START SESSION to link it. | Tekan START SESSION untuk menautkan.
t.accepted Accepted by WhatsApp | Diterima WhatsApp
t.failed Failed | Gagal
t.played Played | Diputar
t.queued Queued | Antre
t.read Read | Dibaca
t.sent Sent | Terkirim
w.answered The receiver answers {status}. moonwa keeps trying; nothing is lost.
	| Penerima menjawab {status}. moonwa terus mencoba; tidak ada yang hilang.
w.attempts Last attempts | Percobaan terakhir
w.backlog Waiting | Menunggu
w.bad Failing | Gagal
w.body The message | Isi pesan
w.dead Dead letters ({n}) | Pesan tertolak ({n})
w.dead_why The receiver refused these for good. Later ones went on.
	| Penerima menolak ini. Pesan berikutnya tetap dikirim.
w.delivered,t.delivered Delivered | Sampai
w.failing {n} failing · {waiting} waiting | {n} gagal · {waiting} menunggu
w.fine {n} in order | {n} lancar
w.from From | Sejak
w.gone Ended by the receiver (410) | Diakhiri penerima (410)
w.idle Nothing sent yet | Belum ada kiriman
w.more Show more | Tampilkan lagi
w.ms {n} ms | {n} md
w.next Next try | Percobaan berikut
w.no_answer The answer was empty. | Jawabannya kosong.
w.none None | Tidak ada
w.none_t No webhook yet | Belum ada webhook
w.none_why Name the receiver of incoming messages in the settings.
	| Tentukan tujuan pesan di Settings.
w.ok Working | Lancar
w.pause Pause | Jeda
w.paused_n {n} paused · {waiting} waiting | {n} dijeda · {waiting} menunggu
w.replay Replay… | Kirim ulang…
w.replay_why Everything since then is sent once more, with the same ids.
	| Semua sejak saat itu dikirim sekali lagi, dengan id yang sama.
w.replaying The replay has started. | Pengiriman ulang dimulai.
w.resume Resume | Lanjutkan
w.retry Retry | Ulangi
w.since Failing since | Gagal sejak
w.tries {n} tries | {n} percobaan
w.tries.one {n} try | {n} percobaan
w.waiting {n} waiting | {n} menunggu
x.curl The same request as curl | Permintaan yang sama dengan curl
x.example Hello, this is a test message from moonwa! | Halo, ini pesan tes dari moonwa!
x.found On WhatsApp | Ada di WhatsApp
x.missing Please fill in this field. | Isi kolom ini dulu.
x.more Reply, mentions | Balasan, sebutan
x.send Send | Kirim
x.upload Upload | Unggahan`;
