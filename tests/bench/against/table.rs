//! The figures of both, as a table for people and JSON for programs.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use crate::gateway::Kind;

/// What is measured: its name in the JSON, in words, and how many digits are worth printing.
const ROWS: [(&str, &str, usize); 32] = [
    ("rss_1_mb", "RSS idle, one device, MB", 1),
    ("rss_10_mb", "RSS idle, ten devices, MB", 1),
    ("rss_50_mb", "RSS idle, fifty devices, MB", 1),
    ("rss_device_mb", "each further device, MB", 2),
    ("rss_after_mb", "RSS of one device after all its messages, MB", 1),
    ("threads", "threads", 0),
    ("hook_p50_ms", "message → webhook, p50, ms", 2),
    ("hook_p99_ms", "message → webhook, p99, ms", 2),
    ("burst_chat_per_s", "burst from one chat, per s", 0),
    ("burst_chats_per_s", "burst from ten chats, per s", 0),
    ("burst_devices_per_s", "burst to ten devices, per s", 0),
    ("inversions", "inversions in the bursts", 0),
    ("burst_lost", "lost in the bursts", 0),
    ("down_lost", "lost while the receiver was down", 0),
    ("killed_lost", "lost when killed meanwhile", 0),
    ("in_processor_s", "processor s per 1,000 in", 2),
    ("in_written_kb", "written per message in, kB", 1),
    ("in_kept_kb", "kept on the disk per message in, kB", 2),
    ("send_p50_ms", "send until WhatsApp has it, p50, ms", 2),
    ("send_p99_ms", "send until WhatsApp has it, p99, ms", 2),
    ("sends_per_s", "sends per s, eight callers", 0),
    ("send_processor_s", "processor s per 1,000 sends", 2),
    ("send_written_kb", "written per send, kB", 1),
    ("api_p50_ms", "the same by /api/send-message: p50, ms", 2),
    ("api_p99_ms", "p99, ms", 2),
    ("apis_per_s", "sends per s, eight callers", 0),
    ("api_processor_s", "processor s per 1,000 sends", 2),
    ("idle_processor_ms", "ten idle devices: processor ms a minute", 0),
    ("idle_wakes_per_s", "ten idle devices: wake-ups a second", 0),
    ("ready_ms", "start → ready, nothing stored, ms", 0),
    ("ready_full_ms", "start → ready, with all that was received, ms", 0),
    ("ready_stored_ms", "start → ready, 25 bursts stored, ms", 0),
];

/// Figures of one turn, by their names.
pub(crate) type Figures = BTreeMap<&'static str, f64>;

/// The figures of every turn of both.
#[derive(Default)]
pub(crate) struct Table([Vec<Figures>; 2]);

impl Table {
    pub(crate) fn add(&mut self, kind: Kind, figures: Figures) {
        let [moonwa, baileys] = &mut self.0;
        if kind == Kind::Moonwa { moonwa.push(figures) } else { baileys.push(figures) }
    }

    /// The medians of a figure, of those that have it.
    fn medians(&self, name: &str) -> [Option<f64>; 2] {
        let median = |turns: &Vec<Figures>| {
            let mut all: Vec<f64> =
                turns.iter().filter_map(|turn| turn.get(name)).copied().collect();
            all.sort_by(f64::total_cmp);
            // Of an even number it is between the two in the middle.
            let low = all.get(all.len().saturating_sub(1) / 2)?;
            all.get(all.len() / 2).map(|high| f64::midpoint(*low, *high))
        };
        self.0.each_ref().map(median)
    }

    /// A table in Markdown.
    pub(crate) fn print(&self) {
        println!("| | moonwa | Baileys + forwarder | ratio |\n|---|---|---|---|");
        for (name, words, digits) in ROWS {
            let medians = self.medians(name);
            let shown = |figure: Option<f64>, digits: usize| {
                figure.map_or("–".to_owned(), |figure| format!("{figure:.digits$}"))
            };
            let [moonwa, baileys] = medians.map(|figure| shown(figure, digits));
            println!("| {words} | {moonwa} | {baileys} | {} |", shown(ratio(medians), 2));
        }
    }

    pub(crate) fn save(&self, path: &Path, about: &Value) -> Result<()> {
        let [moonwa, baileys] = &self.0;
        let figures: BTreeMap<_, _> = ROWS
            .iter()
            .map(|(name, words, _)| {
                let medians = self.medians(name);
                let [one, other] = medians;
                let turns = |turns: &[Figures]| {
                    turns.iter().map(|turn| turn.get(name).copied()).collect::<Value>()
                };
                let figure = json!({
                    "what": words,
                    "moonwa": one,
                    "baileys": other,
                    "ratio": ratio(medians),
                    "turns": { "moonwa": turns(moonwa), "baileys": turns(baileys) },
                });
                (*name, figure)
            })
            .collect();
        let all = json!({ "about": about, "figures": figures });
        std::fs::write(path, format!("{all:#}\n"))?;
        Ok(())
    }
}

/// moonwa's figure in parts of the other's, where both have one.
fn ratio(medians: [Option<f64>; 2]) -> Option<f64> {
    let [Some(moonwa), Some(baileys)] = medians else { return None };
    (baileys > 0.0).then_some(moonwa / baileys)
}
