// A companion of a WhatsApp account as whatsmeow is one, against the simulator: every line on its standard input is a
// call, and what whatsmeow tells goes out as it is, one JSON object a line.
//
//	whatsmeow WEBSOCKET MEDIA ROOT DIRECTORY
//
// ROOT is the key that signs the simulator's certificates, in Base64.
package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/store/sqlstore"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	waLog "go.mau.fi/whatsmeow/util/log"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	_ "modernc.org/sqlite"
)

// Standard output belongs to the story. Its Signal library prints there what goes wrong, so it gets another one.
var (
	output = os.Stdout
	lock   sync.Mutex
)

func init() { os.Stdout = os.Stderr }

func say(what map[string]any) {
	line, err := json.Marshal(what)
	if err != nil {
		line, _ = json.Marshal(map[string]any{"event": fmt.Sprintf("unprintable %v", err)})
	}
	lock.Lock()
	defer lock.Unlock()
	fmt.Fprintln(output, string(line))
}

// plain dials the simulator without TLS, whatever host and scheme are asked for.
func plain(host string) *http.Client {
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, host)
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial, DialTLSContext: dial}}
}

func host(address string) string {
	parsed, err := url.Parse(address)
	must(err)
	return parsed.Host
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// toError logs to standard error.
type toError struct{}

func (toError) Warnf(text string, values ...any) {
	fmt.Fprintf(os.Stderr, "warn "+text+"\n", values...)
}
func (toError) Errorf(text string, values ...any) {
	fmt.Fprintf(os.Stderr, "error "+text+"\n", values...)
}
func (toError) Infof(string, ...any)      {}
func (toError) Debugf(string, ...any)     {}
func (l toError) Sub(string) waLog.Logger { return l }

type client struct {
	*whatsmeow.Client
	lock sync.Mutex
	// Messages by id: those that have a file, are confirmed as read or are changed.
	kept map[string]*events.Message
}

func (c *client) told(event any) {
	said := map[string]any{"event": fmt.Sprintf("%T", event), "data": event}
	if message, ok := event.(*events.Message); ok {
		c.lock.Lock()
		c.kept[message.Info.ID] = message
		c.lock.Unlock()
		content, err := protojson.Marshal(message.Message)
		must(err)
		said["data"] = map[string]any{
			"info": message.Info, "message": json.RawMessage(content), "is_edit": message.IsEdit,
		}
	}
	say(said)
}

func (c *client) message(id string) (*events.Message, error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if message, ok := c.kept[id]; ok {
		return message, nil
	}
	return nil, errors.New("no such message")
}

type call struct {
	Call   string `json:"call"`
	Values values `json:"values"`
}

type values struct {
	To      string          `json:"to"`
	ID      string          `json:"id"`
	Content json.RawMessage `json:"content"`
	File    []byte          `json:"file"`
	Caption string          `json:"caption"`
}

func (c *client) answer(ctx context.Context, name string, asked values) (any, error) {
	var to types.JID
	var err error
	if asked.To != "" && name != "code" {
		if to, err = types.ParseJID(asked.To); err != nil {
			return nil, err
		}
	}
	content := new(waE2E.Message)
	if asked.Content != nil {
		if err = protojson.Unmarshal(asked.Content, content); err != nil {
			return nil, err
		}
	}
	switch name {
	case "send":
	case "image":
		up, err := c.Upload(ctx, asked.File, whatsmeow.MediaImage)
		if err != nil {
			return nil, err
		}
		content.ImageMessage = &waE2E.ImageMessage{
			Caption: proto.String(asked.Caption), Mimetype: proto.String("image/png"),
			URL: &up.URL, DirectPath: &up.DirectPath, MediaKey: up.MediaKey,
			FileEncSHA256: up.FileEncSHA256, FileSHA256: up.FileSHA256, FileLength: &up.FileLength,
		}
	case "edit":
		content = c.BuildEdit(to, asked.ID, content)
	case "revoke":
		content = c.BuildRevoke(to, types.EmptyJID, asked.ID)
	case "code":
		return c.PairPhone(ctx, asked.To, true, whatsmeow.PairClientChrome, "Chrome (Linux)")
	case "read":
		message, err := c.message(asked.ID)
		if err != nil {
			return nil, err
		}
		info := message.Info
		return nil, c.MarkRead(ctx, []string{asked.ID}, time.Now(), info.Chat, info.Sender)
	case "download":
		message, err := c.message(asked.ID)
		if err != nil {
			return nil, err
		}
		return c.Download(ctx, message.Message.GetImageMessage())
	default:
		return nil, fmt.Errorf("no call %q", name)
	}
	sent, err := c.SendMessage(ctx, to, content)
	return sent.ID, err
}

func main() {
	ctx := context.Background()
	websocket, media, directory := host(os.Args[1]), host(os.Args[2]), os.Args[4]
	// The whole chain is checked as ever, up to the simulator's root instead of WhatsApp's.
	root, err := base64.StdEncoding.DecodeString(os.Args[3])
	must(err)
	copy(whatsmeow.WACertPubKey[:], root)

	log := toError{}
	where := "file:" + filepath.Join(directory, "store.db") + "?_pragma=foreign_keys(1)&_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)"
	store, err := sqlstore.New(ctx, "sqlite", where, log)
	must(err)
	c := &client{Client: whatsmeow.NewClient(store.NewDevice(), log), kept: map[string]*events.Message{}}
	c.SetPreLoginHTTPClient(plain(websocket))
	c.SetWebsocketHTTPClient(plain(websocket))
	c.SetMediaHTTPClient(plain(media))
	c.AddEventHandler(c.told)
	must(c.Connect())

	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var asked call
		must(json.Unmarshal(lines.Bytes(), &asked))
		if answer, err := c.answer(ctx, asked.Call, asked.Values); err != nil {
			say(map[string]any{"refused": err.Error()})
		} else {
			say(map[string]any{"answer": answer})
		}
	}
}
