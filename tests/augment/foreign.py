"""German, Spanish and Chinese: words in the synsets of the small WordNet, stop words, texts, tokenizers."""

from __future__ import annotations

from pathlib import Path

from mini_wordnet import SYNSETS, find_entry, find_offsets, parse_synsets, write_mini_wordnet
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from augment.core.scripts import without_spaces


# Of each language: the first English word of a synset, as `file:word`, and the words in it.
WORDS = {
    "deu": {
        "noun:movie": ["Film", "Streifen", "Kinofilm"],
        "noun:actor": ["Schauspieler", "Darsteller", "wichtiger Darsteller"],
        "noun:Frank": ["Franke", "Franzose"],  # a name in English
        "noun:sailor": ["Matrose", "Film"],  # rare, next to the movie
        "verb:see": ["sehen", "erblicken"],
        "verb:leave": ["gehen", "sich entfernen", "weggehen"],
        "adj:gorgeous": ["herrlich", "toll", "Wasser"],
        "adv:quickly": ["schnell", "rasch", "nicht"],
    },
    "spa": {
        "noun:movie": ["película", "filme"],
        "noun:car": ["auto", "coche", "carro"],
        "noun:machine": ["sobre", "máquina"],  # "sobre" is a preposition as well
        "verb:see": ["ver", "mirar"],
        "adj:gorgeous": ["precioso", "hermoso"],
        "adv:quickly": ["rápidamente", "aprisa"],
    },
    "cmn": {
        "noun:movie": ["电影", "影片"],
        "noun:picture": ["影"],
        "noun:car": ["汽车", "车"],
        "noun:actor": ["演员", "艺人"],
        "noun:aardvark": ["影院"],
        "adj:gorgeous": ["美丽", "漂亮"],
    },
}
STOP_WORDS = {
    "deu": ("german", "der die das und ist nicht ein eine sich im wir sie es sehr an"),
    "spa": ("spanish", "el la los y es no un una sobre a muy que de"),
    "cmn": ("chinese", "的 是 了 很 和 不 这 我们 都 看"),
}
TEXTS = {
    "deu": ["Der Film ist herrlich und die Schauspieler gehen nicht schnell .", "Wir sehen an der Wand einen Film ."],
    "spa": ["¡Película hermoso! El coche es precioso y no mirar rápidamente .", "vamos a auto sobre la película ."],
    "cmn": ["这电影很漂亮，演员都美丽。", "我们看电影院的汽车。"],
}
ENGLISH = ["The movie was awful and the actors ran away .", "We saw the car and it was big ."]
# What a vocabulary of whole words would not show.
PIECES = ["电影", "演员", "漂亮", "汽车", "艺人", "影片", "影院", "美丽", "我们"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def write_language(nltk_data: Path, lang: str, package: str = "omw-1.4", kind: str = "data", words=None) -> Path:
    """Writes the words and the stop words of a language into NLTK's data folder. Returns the file of the words."""
    entries = parse_synsets(SYNSETS)
    offsets = find_offsets(entries)
    lines = [f"# {lang}wn\t{lang}\thttp://example.org\tCC BY"]
    for key, names in (words or WORDS[lang]).items():
        file, _, name = key.partition(":")
        synset = f"{offsets[id(find_entry(entries, file, name))]}-{'a' if file == 'adj' else file[0]}"
        synset = synset.replace("-a", "-r") if file == "adv" else synset
        lines += [f"{synset}\t{lang}:lemma\t{name}" for name in names]
        lines.append(f"{synset}\t{lang}:def\t0\twhatever it means")
    name, stops = STOP_WORDS[lang]
    folder = lang if kind == "data" else kind
    tab = nltk_data / "corpora" / package / folder / f"wn-{kind}-{lang}.tab"
    stop_words = nltk_data / "corpora" / "stopwords" / name
    for path, text in ((tab, "\n".join(lines)), (stop_words, "\n".join(stops.split()))):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n", encoding="utf-8")
    return tab


def install_languages(folder: Path, monkeypatch, langs=WORDS) -> Path:
    """NLTK's data folder with the small WordNet and these languages, and a cache of its own, in a folder."""
    root = folder / "nltk_data"
    root.mkdir(mode=0o755)
    write_mini_wordnet(root / "corpora" / "wordnet")
    for lang in langs:
        write_language(root, lang)
    monkeypatch.setattr("nltk.data.path", [str(root)])
    monkeypatch.setenv("HF_MMEL_CACHE", str(folder / "cache"))
    return root


def make_multilingual_tokenizer(kind: str = "wordpiece") -> PreTrainedTokenizerFast:
    """
    A tokenizer of all these texts that keeps case: WordPiece, which has Chinese text in characters, or Unigram, which
    has it in pieces of one or two characters.
    """
    texts = ["( a b )", *ENGLISH, *(text for group in TEXTS.values() for text in group)]
    texts += [name for group in WORDS.values() for names in group.values() for name in names]
    words = dict.fromkeys(pre for text in texts for pre, _ in pre_tokenizers.BertPreTokenizer().pre_tokenize_str(text))
    words |= dict.fromkeys(word.capitalize() for word in list(words))
    chinese = dict.fromkeys(char for word in words for char in word if char >= "\u3000")
    latin = [word for word in words if not set(word) & chinese.keys()]
    if kind == "wordpiece":
        pieces = [*SPECIAL, *latin, *chinese, "##e"]
        tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece(prefix="##")
    else:
        pieces = [*SPECIAL, "▁", *(f"▁{word}" for word in latin), *latin, *PIECES, *chinese]
        scores = [(piece, -1.0 - 9.0 * (len(piece) == 1)) for piece in dict.fromkeys(pieces)]
        tokenizer = Tokenizer(models.Unigram(scores, unk_id=1))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
    cls, sep = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", sep), ("[CLS]", cls))
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **dict(zip(names, SPECIAL, strict=True)))


def changes(augmenter, text: str) -> set[tuple[str, str]]:
    """Which word of a text becomes what, over many variants. WordPiece decodes Chinese with spaces."""

    def spell(ids):
        return without_spaces(augmenter.tokenizer.decode(ids).strip())

    edits = augmenter.edits(augmenter.tokenizer(text), 60, 0)
    return {(spell(e.old), spell(e.new)) for variant in edits for e in variant}
