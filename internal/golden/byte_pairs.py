"""Small byte-pair encodings, trained by the tokenizers library, as transformers saves them, and the ids of difficult texts."""

import collections
import json
import os
import tempfile

import numpy
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import CLIPTokenizer, GPT2Tokenizer, PreTrainedTokenizerFast

BOS, EOS = "<|startoftext|>", "<|endoftext|>"

STYLES = ("gpt2", "clip")
NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
CORPUS = [
    f"{a} {b} {n}{c}"
    for n in NAMES
    for a, b, c in [
        ("a", "handwritten", ""), ("the", "digit", "."), ("a photo of the", "number", "!"), ("It's", "somebody's", ", isn't it?"),
        ("we'll write", "12 times", " and 1999 more"), ("naïve café", "Über größe", " — “quoted”"), ("日本語", "の数字", "です"), ("  two  spaces", "\tand tabs", "\n"),
    ]
]

TEXTS = [
    "", " ", "a", "a handwritten seven", "A Handwritten SEVEN", "the digit zero.", "  leading and trailing  ", "two  spaces   three    four",
    "tab\tnewline\nreturn\rvertical\x0bform\x0c", "trailing newline\n", "\n\n\n", " \n \t ", "non\u00a0breaking\u2003em\u3000ideographic\u2028line\u0085next",
    "it's don't we're I've I'm we'll he'd 'quoted' ''s '", "IT'S DON'T WE'RE I'VE I'M WE'LL HE'D", "'s't're", "a'b'c", "!'s", "x's.", "rock'n'roll", "’s curly",
    "0123456789", "12 345,678.90", "a1b2c3", "½ ² ③ Ⅳ ٣ 四", "hello,world;again:and-again_and/again", "!!!???...", "a.b.c.", "$100 #1 50% @me (x) [y] {z}", "<b>html</b> &amp; &#39;",
    "naïve café", "nai\u0308ve cafe\u0301", "ÀÉÎÕÜ ß ẞ İ ı Σίσυφος ΣΑΣ", "Å \u212b A\u030a", "ﬁ ﬂ ﬀ", "ʻokina", "日本語の数字です", "한국어 \u1112\u1161\u11ab", "العربية עברית हिन्दी ไทย",
    "😀 😃👍🏽 👨‍👩‍👧‍👦 🇩🇪 ❤️", "emoji😀inside", "𝟘𝟙𝟚 𝒜𝓑", "\u200bzero\u200dwidth\ufeff", "\x00\x01\x1f\x7f control", "\ufffd replacement", "\U0010ffff \ue000", "a\u0300\u0301\u0302\u0303",
    EOS, BOS, f"a {EOS} b", f"{BOS}seven{EOS}", f"seven{EOS}{EOS} eight", "<|ENDOFTEXT|>", "<|startoftext|", "<|endoftext", f"x{BOS.upper()}y",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "ththththe thethe", "sevenseven seven", "handwrittenhandwritten" * 4, "word " * 40, "a photo of the number nine" + "!" * 30, "Ġ Ċ ĉ </w> a</w>", "\\n \\t", "'", "''", "' ", " '", " 's", " 't",
    "mixed日本1two3四", "_under_score_", "1's 2nd 3rd", "x²+y²=z²", "a\u2019s \u2018b\u2019", "É'S", "ﬁ's",
]


def _train(size, style):
    """A GPT-2 encoding; or one of CLIP's conventions, whose vocabulary begins with all bytes and all bytes at the end of a word."""
    if style == "gpt2":
        tok = Tokenizer(models.BPE())
        tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tok.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=[EOS], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
        tok.train_from_iterator(CORPUS, trainer)
        model = json.loads(tok.to_str())["model"]
        return model["vocab"], [tuple(m) for m in model["merges"]]
    # The library's trainer breaks ties by a hash table's order where words have marked ends: here it is done by hand.
    tok = CLIPTokenizer().backend_tokenizer
    printable = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174]
    alphabet = [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]
    tokens = alphabet + [c + "</w>" for c in alphabet]
    ids = {t: i for i, t in enumerate(tokens)}
    words = collections.Counter(w for text in CORPUS for w, _ in tok.pre_tokenizer.pre_tokenize_str(tok.normalizer.normalize_str(text)))
    spelt = {w: [ids[c] for c in w[:-1]] + [ids[w[-1] + "</w>"]] for w in words}
    merges = []
    while len(tokens) < size - 2:
        counts = collections.Counter()
        for w, n in words.items():
            for pair in zip(spelt[w], spelt[w][1:]):
                counts[pair] += n
        if not counts:
            break
        pair = min(counts, key=lambda p: (-counts[p], p))
        merges.append((tokens[pair[0]], tokens[pair[1]]))
        if "".join(merges[-1]) not in ids:
            ids["".join(merges[-1])] = len(tokens)
            tokens.append("".join(merges[-1]))
        for w, s in spelt.items():
            i, out = 0, []
            while i < len(s):
                if tuple(s[i : i + 2]) == pair:
                    out.append(ids["".join(merges[-1])])
                    i += 2
                else:
                    out.append(s[i])
                    i += 1
            spelt[w] = out
    return {t: i for i, t in enumerate(tokens + [BOS, EOS])}, merges


def _files(folder):
    out = {}
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as f:
            out[name] = f.read()
    return out


def _legacy(vocab, merges):
    lines = ["#version: 0.2"] + [" ".join(m) for m in merges]
    return {"vocab.json": json.dumps(vocab, ensure_ascii=False).encode(), "merges.txt": ("\n".join(lines) + "\n").encode()}


def make(style):
    vocab, merges = _train({"gpt2": 400, "clip": 700}[style], style)
    cls = {"gpt2": GPT2Tokenizer, "clip": CLIPTokenizer}[style]
    tok = cls(vocab=vocab, merges=merges)
    if style == "clip":
        tok.model_max_length = 77
    with tempfile.TemporaryDirectory() as folder:
        tok.save_pretrained(folder)
        saved = _files(folder)
        again = PreTrainedTokenizerFast(tokenizer_file=os.path.join(folder, "tokenizer.json"))
    saved.update(_legacy(vocab, merges))
    cases = []
    for text in TEXTS:
        ids = tok(text)["input_ids"]
        assert ids == again(text)["input_ids"]
        case = dict(text=text, ids=ids, decoded=tok.backend_tokenizer.decode(ids, skip_special_tokens=True))
        if style == "clip":
            case["padded"] = tok(text, padding="max_length", max_length=77, truncation=True)["input_ids"]
            case["short"] = tok(text, padding="max_length", max_length=8, truncation=True)["input_ids"]
        cases.append(case)
    return {"count": numpy.array(len(cases))}, {"corpus": CORPUS, "merges": merges, "cases": json.dumps(cases, ensure_ascii=False)}, saved
