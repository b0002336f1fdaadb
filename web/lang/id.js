// Bahasa Indonesia. Tombol yang disebut docs.moonwa.id (START SESSION, Session Name, Receiver, …) memakai kata yang sama.
export default `add Add Device
bin Hapus perangkat
cancel Batal
close Tutup
copied Tersalin
copy Salin
leave Keluar dari halaman ini
loading Memuat
logout Log out
lost Tidak terhubung ke moonwa. Mencoba lagi…
nav Menu utama
number Nomor
reconnect Hubungkan ulang
settings Settings
settings_of Settings {device}
skip Langsung ke isi
status Status
stop Hentikan
theme Terang atau gelap
tools Pilihan halaman
a.ambiguous Penerima selalu gagal.
a.connect Tidak tersambung
a.dns Nama tidak ditemukan
a.forbidden Webhook tidak boleh ke alamat itu.
a.hung_up Penerima memutus sambungan.
a.message Penerima menolak pesan ini.
a.none Tidak ada jawaban
a.queue_full Antrean kirim penuh.
a.request URL atau header tidak sah.
a.timeout Tanpa jawaban
a.tls Sertifikat tidak sah
api.answers Jawaban
api.body Isi permintaan
api.find Cari di API
api.given Parameter
api.needed wajib
api.why Semua yang dilakukan halaman ini, untuk program.
c.alarm moonwa.toml bermasalah. Konfigurasi lama masih berjalan.
c.applied Berkas sudah berlaku
c.ask Apa yang akan berubah?
c.at Terakhir dimuat
c.by.api halaman ini atau API
c.by.file penyimpanan
c.by.signal sinyal
c.by.start awal
c.changed Berubah
c.kept Konfigurasi yang berjalan tetap dipakai sampai ini diperbaiki.
c.line Baris {line}, kolom {column}
c.masked Rahasia tidak ditampilkan.
c.rejected moonwa.toml bermasalah
c.reload Muat ulang
c.revision Revisi
c.running Yang berlaku
c.trigger Karena
c.unchanged Tidak ada perubahan
c.version Versi
c.watched moonwa.toml yang disimpan berlaku dalam satu detik.
c.would Muat ulang akan melakukan ini
d.account Akun
d.delete_1 Log out, agar lepas dari WhatsApp
d.delete_2 Di moonwa.toml hapus tabel
d.delete_3 Lalu jalankan
d.delete_q Hapus {device}?
d.delete_readonly moonwa tidak boleh menulis moonwa.toml di sini, jadi penghapusan perlu tiga langkah. Tindakan ini tidak dapat dibatalkan.
d.delete_why {device} dilepas dari WhatsApp; kredensial dan barisnya di moonwa.toml dihapus. Tindakan ini tidak dapat dibatalkan.
d.deleted {device} sudah dihapus.
d.hooks Pengiriman
d.in Pesan masuk terakhir
d.linked {device} sudah tertaut.
d.logout_q Log out {device}?
d.logout_why Nomor ini dilepas dan kredensialnya dihapus. Untuk memakainya lagi, pindai QR baru.
d.missing Perangkat “{device}” tidak ada
d.missing_why Perangkat ini tidak ada, atau sudah dihapus, di moonwa.toml.
d.not_told {device} dihapus, tetapi WhatsApp tidak bisa diberi tahu: hapus juga di HP.
d.out Pesan keluar terakhir
d.proof WhatsApp terakhir menjawab
d.since_down Terputus sejak
d.since_up Terhubung sejak
devices.find Cari nama atau nomor
devices.in Pesan masuk terakhir
devices.last Pesan terakhir
devices.name Session Name
devices.none Tautkan nomor pertama Anda
devices.none_why Tekan Add Device, beri nama misalnya “Admin Toko”, lalu pindai satu kode QR dengan HP Anda.
devices.nothing Tidak ada perangkat yang cocok.
devices.out Pesan keluar terakhir
devices.proof Menjawab
devices.sum {up} dari {n} terhubung
e.463 Untuk sementara WhatsApp tidak mengizinkan nomor ini menulis ke kontak baru.
e.already_linked Perangkat ini sudah tertaut.
e.config_invalid moonwa.toml jadi tidak sah:
e.config_read_only Tempel baris ini di moonwa.toml lalu simpan.
e.conflict Ada perubahan lain. Periksa lalu ulangi.
e.cross_site Permintaan datang dari situs lain. Buka halaman ini langsung.
e.device_not_connected Perangkat ini tidak terhubung.
e.device_not_found Perangkat ini sudah tidak ada.
e.disabled Perangkat ini dimatikan di moonwa.toml.
e.disk_full Disk server penuh.
e.edit_conflict moonwa.toml sementara itu disunting di tempat lain. Formulir ini kini menampilkannya, dan isian Anda tetap ada. Periksa, lalu simpan.
e.event_not_found Peristiwa ini sudah tidak disimpan.
e.expired Terlalu lama menunggu, jadi tidak dikirim.
e.forbidden Itu tidak diizinkan di sini.
e.host_not_allowed Halaman ini tidak melayani alamat ini. Tambahkan ke [server] hosts.
e.idempotency_conflict Ini sudah dikirim dengan isi lain.
e.internal Terjadi gangguan di moonwa. Lihat log-nya.
e.invalid_request Ada isian yang belum benar.
e.media_expired WhatsApp tidak lagi menyimpan berkas ini.
e.media_failed Berkas tidak bisa dikirim.
e.media_fetch_failed Berkas tidak bisa diambil dari URL itu.
e.media_too_large Berkas terlalu besar.
e.media_type_mismatch Jenis berkas tidak cocok dengan jenis pesan.
e.media_unavailable Berkas tidak bisa diambil dari URL itu.
e.media_url_denied moonwa tidak mengambil berkas dari alamat seperti itu.
e.message_not_found Pesan ini sudah tidak disimpan.
e.method_not_allowed Itu tidak bisa di sini.
e.no_qr Tidak ada kode QR aktif. Mulai lagi.
e.not_asked WhatsApp tidak memintanya.
e.not_found Tidak ada apa-apa di sini.
e.not_on_whatsapp Nomor ini tidak ada di WhatsApp.
e.offline moonwa tidak dapat dihubungi. Apakah sedang berjalan?
e.queue_full Terlalu banyak pesan menunggu. Coba sebentar lagi.
e.send_failed WhatsApp tidak menerimanya.
e.sending_locked Untuk sementara WhatsApp tidak mengizinkan nomor ini menulis ke kontak baru.
e.shutting_down moonwa sedang dimatikan.
e.store_failed moonwa tidak bisa menulis ke disk.
e.timeout Terlalu lama. Coba lagi.
e.too_large Berkas terlalu besar.
e.too_many_attempts Terlalu banyak percobaan. Tunggu {n} detik.
e.too_many_streams Terlalu banyak halaman terbuka.
e.unauthorized Silakan masuk lagi.
e.unsupported_media_type Jenis berkas ini tidak bisa dikirim dengan cara itu.
e.webhook_not_found Webhook ini sudah tidak ada.
e.whatsapp_refused WhatsApp menolaknya.
e.whatsapp_timeout WhatsApp tidak menjawab tepat waktu.
f.caption Keterangan
f.emoji Emoji
f.file atau berkas dari perangkat ini
f.latitude Lintang
f.longitude Bujur
f.message Id pesan
f.name Nama
f.number Nomor
f.options Pilihan, satu per baris
f.question Pertanyaan
f.text Pesan
f.url URL berkas
k.audio Audio
k.contact Kontak
k.document Dokumen
k.forward Pesan terusan
k.image Gambar
k.location Lokasi
k.poll Polling
k.reaction Reaksi
k.sticker Stiker
k.text Teks
k.unavailable Tidak ada di perangkat tertaut
k.video Video
k.voice Pesan suara
l.android Titik tiga ⋮ › Perangkat tertaut › Tautkan perangkat
l.bycode Tidak bisa memindai? Tautkan dengan nomor telepon
l.bycode_why Jika halaman ini dibuka di HP yang sama: Anda mendapat kode untuk diketik di WhatsApp.
l.code_left Berlaku {n} dtk lagi
l.expired Kode QR sudah kedaluwarsa. Tekan tombol untuk mulai lagi.
l.failed Kode QR gagal dimuat.
l.getcode Minta kode
l.how Cara menautkan
l.idle Siapkan HP Anda, lalu tekan tombol ini.
l.ios Pengaturan › Perangkat Tertaut › Tautkan Perangkat
l.left Kode baru dalam {n} dtk
l.os HP Anda
l.phone Nomor WhatsApp, dengan kode negara
l.qr Kode QR untuk dipindai dengan WhatsApp
l.ready Kode QR sudah siap.
l.reload Muat ulang
l.s0 Buka WhatsApp di HP
l.s_code Pilih “Tautkan dengan nomor telepon saja”, lalu ketik kodenya
l.s_scan Arahkan kamera HP ke layar ini sampai kode terbaca
l.type Ketik kode ini di WhatsApp
l.wait Menghubungi WhatsApp…
lang.other EN
lang.switch EN – switch to English
login.empty Isi dulu token admin.
login.expired Tautan masuk itu tidak berlaku lagi. Jalankan ulang moonwa untuk yang baru.
login.go Masuk
login.intro Masuk dengan token admin dari moonwa.toml.
login.link_only Buka tautan masuk yang ditampilkan moonwa di terminalnya. Untuk memakai token, isi [admin] token di moonwa.toml.
login.title Selamat datang di moonwa
login.token Token admin
login.wrong Token ini salah. Periksa apakah ada karakter yang kurang.
m.all Semua
m.call.offer Panggilan
m.device.state Status perangkat
m.group grup
m.group.updated Grup berubah
m.identity.resolved Nomor ditemukan
m.kind Jenis
m.message.edited Disunting
m.message.reaction Reaksi
m.message.received Masuk
m.message.revoked Dihapus
m.message.sent Dikirim dari HP
m.message.status Status kiriman
m.none Belum ada apa-apa
m.none_why Pesan muncul di sini begitu masuk atau keluar.
m.out Dikirim moonwa
m.poll.vote Suara
m.texts Tampilkan teks
n.bad 7 sampai 15 angka, dengan kode negara, misalnya 6281234567890.
n.zero Tulis nomor dengan kode negara: {example}
nav.api Referensi API
nav.config Config
nav.devices Device
nav.messages Pesan
nav.send Single Send
nav.webhooks Webhook
p.answer Tempel jawabannya di sini
p.bad Itu bukan jawaban dari konsol. Jawabannya diawali kurung kurawal.
p.confirm Bandingkan kode ini dengan yang ada di HP. Jika sama, konfirmasi.
p.copy Salin skrip
p.match Kodenya sama
p.request WhatsApp meminta passkey Anda dulu. Browser hanya memberikannya di alamat WhatsApp sendiri, jadi bawa pertanyaannya ke sana:
p.s1 Buka web.whatsapp.com di browser yang bisa memakai passkey Anda
p.s2 Tekan F12, pilih Console, tempel skrip lalu tekan Enter
p.s3 Konfirmasi dengan passkey; jawabannya kini ada di papan klip
p.send Kirim jawaban
p.title Passkey
r.asked Menghubungkan ulang atas permintaan.
r.banned WhatsApp memblokir nomor ini.
r.banned.until WhatsApp memblokir nomor ini sampai {until}.
r.cancelled Penautan dibatalkan.
r.closed Koneksi tertutup.
r.crashed Koneksi gagal dan sedang dijalankan lagi.
r.disabled Dimatikan di moonwa.toml (enabled = false).
r.link_failed Penautan gagal. Silakan mulai lagi.
r.logged_out Sudah log out dari sini. Pindai QR baru untuk memakainya lagi.
r.next Mencoba lagi {when}
r.outdated WhatsApp tidak lagi menerima versi moonwa ini. Perbarui moonwa.
r.qr_expired Kode QR sudah kedaluwarsa. Mulai lagi.
r.refused WhatsApp menolak login ({detail}). Pindai QR baru.
r.replaced Program lain mengambil alih sesi ini.
r.sending_locked Untuk sementara WhatsApp tidak mengizinkan nomor ini menulis ke kontak baru.
r.sending_locked.until WhatsApp tidak mengizinkan nomor ini menulis ke kontak baru sampai {until}.
r.server_error WhatsApp melaporkan gangguan ({detail}).
r.shutdown moonwa sedang dimatikan.
r.starting Menghubungi WhatsApp…
r.stopped Anda menghentikannya.
r.store_failing moonwa tidak bisa menulis ke disk. Periksa ruang kosong.
r.unlinked Tautan dilepas dari HP. Pindai QR baru.
r.unproven WhatsApp belum menjawab belakangan ini.
r.unreachable WhatsApp tidak dapat dihubungi. Periksa jaringan server.
s.country Kode negara
s.country_why Agar 0812… boleh ditulis untuk 62812…
s.enabled Aktif
s.events Peristiwa
s.format Format
s.generate_q Buat API key baru?
s.generate_why Kunci lama langsung tidak berlaku. Program yang memakainya perlu kunci baru.
s.hook_more Secret, peristiwa, format
s.hooks_why Pesan masuk diteruskan ke paling banyak empat alamat.
s.key_bad Nama ini sudah dipakai, atau berisi selain a–z, 0–9, - dan _.
s.key_once Hanya tampil sekarang: salin. Kunci lama tidak berlaku begitu yang ini dipakai.
s.key_why Program mengirim dengan kunci ini. Yang disimpan hanya hash-nya; tidak bisa ditampilkan lagi.
s.label_ph Admin Toko
s.lines Tampilkan baris untuk moonwa.toml
s.more Setelan lain
s.name Nama di alamat dan log
s.name_first Isi dulu Session Name.
s.pace Paling banyak sekian pesan
s.pace_why Misalnya 20/min. Kosong: tanpa batas.
s.paste Untuk moonwa.toml
s.paste_why Tempel baris ini di moonwa.toml lalu simpan. Tidak perlu menjalankan ulang.
s.readonly moonwa tidak boleh menulis moonwa.toml di sini: barisnya untuk Anda tempel.
s.save Simpan
s.saved Tersimpan dan berlaku.
s.secret_kept Sudah ada; kosong tetap memakainya
s.secret_make Generate dan salin
s.secret_none Tidak ada
s.secret_unset Hapus
s.secret_why Menandatangani setiap kiriman, agar penerima tahu itu dari moonwa.
state.linking Menunggu HP.
state.pending Tekan START SESSION untuk menautkan.
t.accepted Diterima WhatsApp
t.delivered Sampai
t.failed Gagal
t.played Diputar
t.queued Antre
t.read Dibaca
t.sent Terkirim
w.answered Penerima menjawab {status}. moonwa terus mencoba; tidak ada yang hilang dan urutannya tetap.
w.attempts Percobaan terakhir
w.backlog Menunggu
w.bad Gagal
w.body Isi pesan
w.dead Pesan tertolak ({n})
w.dead_why Penerima menolak pesan ini untuk seterusnya. Pesan berikutnya tetap dikirim.
w.delivered Terkirim
w.failing {n} gagal · {waiting} menunggu
w.fine {n} lancar
w.from Sejak
w.gone Diakhiri penerima (410)
w.idle Belum ada kiriman
w.ms {n} md
w.next Percobaan berikut
w.no_answer Jawabannya kosong.
w.none Tidak ada
w.none_t Belum ada webhook
w.none_why Tentukan tujuan pesan masuk di Settings.
w.ok Lancar
w.pause Jeda
w.paused Dijeda
w.paused_n {n} dijeda · {waiting} menunggu
w.replay Kirim ulang…
w.replay_why Semua sejak saat itu dikirim sekali lagi ke webhook ini, dengan id yang sama.
w.replaying Pengiriman ulang dimulai.
w.resume Lanjutkan
w.retry Ulangi
w.since Gagal sejak
w.test Test
w.tries {n} percobaan
w.waiting {n} menunggu
x.curl Permintaan yang sama dengan curl
x.example Halo, ini pesan tes dari moonwa!
x.found Ada di WhatsApp
x.missing Isi kolom ini dulu.
x.send Kirim
x.upload Unggahan`;
