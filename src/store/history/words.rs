//! The words of a text, as people look for them: without case and accents.

use std::collections::BTreeSet;

/// Words of one text that are kept.
const MOST: usize = 64;
/// Letters of one word that are kept.
const LONGEST: usize = 24;

/// The words of a text, each once.
pub(super) fn words(text: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for word in each(text) {
        if words.len() >= MOST {
            break;
        }
        words.insert(word);
    }
    words
}

/// The words that are looked for: the last one may be the beginning of one, unless a blank or a sign follows it.
pub(super) fn wanted(query: &str) -> (Vec<String>, bool) {
    let open = query.chars().last().is_some_and(|last| last.is_alphanumeric() && !stands(last));
    (each(query).take(MOST).collect(), open)
}

/// Whether a text has all of these words.
pub(super) fn has(text: &str, wanted: &[String], open: bool) -> bool {
    let words: BTreeSet<String> = each(text).collect();
    wanted.iter().enumerate().all(|(n, word)| {
        let begun = open && n + 1 == wanted.len();
        words.contains(word) || begun && words.iter().any(|known| known.starts_with(word.as_str()))
    })
}

fn each(text: &str) -> impl Iterator<Item = String> {
    let mut letters = text.chars().flat_map(fold).peekable();
    std::iter::from_fn(move || {
        let mut word = String::new();
        let mut length = 0_usize;
        while let Some(next) = letters.next_if(|next| word.is_empty() || !stands(*next)) {
            if next.is_alphanumeric() {
                if length < LONGEST {
                    word.push(next);
                }
                length += 1;
                if stands(next) {
                    return Some(word);
                }
            } else if !word.is_empty() {
                return Some(word);
            }
        }
        (!word.is_empty()).then_some(word)
    })
}

/// Whether a sign is a word of its own, because its script puts no blanks between words.
fn stands(letter: char) -> bool {
    matches!(letter, '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
        || matches!(letter, '\u{0e00}'..='\u{0e7f}')
}

/// A letter without case and accent. What stands over a letter by itself is left out.
fn fold(letter: char) -> impl Iterator<Item = char> {
    let mark = matches!(letter, '\u{300}'..='\u{36f}');
    letter.to_lowercase().filter(move |_| !mark).flat_map(|letter| {
        let plain = match letter {
            'à'..='å' | 'ā' | 'ă' | 'ą' | 'ǎ' => "a",
            'æ' => "ae",
            'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => "c",
            'ď' | 'đ' | 'ð' => "d",
            'è'..='ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => "e",
            'ĝ' | 'ğ' | 'ġ' | 'ģ' => "g",
            'ĥ' | 'ħ' => "h",
            'ì'..='ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' => "i",
            'ĵ' => "j",
            'ķ' => "k",
            'ĺ' | 'ļ' | 'ľ' | 'ŀ' | 'ł' => "l",
            'ñ' | 'ń' | 'ņ' | 'ň' => "n",
            'ò'..='ö' | 'ø' | 'ō' | 'ŏ' | 'ő' => "o",
            'œ' => "oe",
            'ŕ' | 'ŗ' | 'ř' => "r",
            'ś' | 'ŝ' | 'ş' | 'š' | 'ș' => "s",
            'ß' => "ss",
            'ţ' | 'ť' | 'ŧ' | 'ț' => "t",
            'ù'..='ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => "u",
            'ŵ' => "w",
            'ý' | 'ÿ' | 'ŷ' => "y",
            'ź' | 'ż' | 'ž' => "z",
            _ => "",
        };
        let same = plain.is_empty().then_some(letter);
        plain.chars().chain(same)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<String> {
        each(text).collect()
    }

    #[test]
    fn words_have_no_case_and_no_accents() {
        assert_eq!(
            split("  Berapa HARGA kopi, Café-nya? "),
            ["berapa", "harga", "kopi", "cafe", "nya"]
        );
        assert_eq!(split("cafe\u{301} Straße 85.000"), ["cafe", "strasse", "85", "000"]);
        assert_eq!(split("咖啡 ok"), ["咖", "啡", "ok"]);
        assert_eq!(split("ok咖啡ok"), ["ok", "咖", "啡", "ok"]);
        assert_eq!(split("…!"), Vec::<String>::new());
        assert_eq!(split(&"a".repeat(99)), ["a".repeat(LONGEST)]);
    }

    #[test]
    fn the_last_word_may_be_a_beginning() {
        let finds = |text: &str, query: &str| {
            let (wanted, open) = wanted(query);
            has(text, &wanted, open)
        };
        assert!(finds("Berapa harga kopi Gayo?", "KOPI har"));
        assert!(!finds("Berapa harga kopi Gayo?", "har kopi"));
        assert!(!finds("Berapa harga kopi Gayo?", "har "));
        assert!(finds("Berapa harga kopi Gayo?", "harga "));
        assert!(!finds("Berapa harga", "teh"));
    }
}
