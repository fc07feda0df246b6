"""Rust sources as tokens: as much of the language as is needed to find accesses."""

import re
from collections import namedtuple

Token = namedtuple("Token", "text line")

ORDERINGS = ("Relaxed", "Acquire", "Release", "AcqRel", "SeqCst")

TOKEN = re.compile(
    r"""(?P<skip>\s+|//[^\n]*)
      | (?P<comment>/\*)
      | (?P<string>b?c?r(?P<hashes>\#*)".*?"(?P=hashes) | [bc]?"(?:\\.|[^"\\])*")
      | (?P<char>b?'(?:\\(?:x..|u\{[^}]*\}|.)|[^'\\])')
      | (?P<life>'\w+)
      | (?P<word>r\#\w+|\w+)
      | (?P<punct>::|->|=>|\.\.=|\.\.|.)
    """,
    re.S | re.X,
)


def tokens_of(text):
    """The tokens of a source, without comments and lifetimes."""
    found, at = [], 0
    while at < len(text):
        match = TOKEN.match(text, at)
        at = match.end()
        if match["comment"]:
            depth = 1
            while depth:
                part = re.compile(r"/\*|\*/").search(text, at)
                if not part:
                    return found
                depth += 1 if part[0] == "/*" else -1
                at = part.end()
        elif not match["skip"] and not match["life"]:
            found.append(Token(match[0], text.count("\n", 0, match.start()) + 1))
    return found


PAIRS = {"(": ")", "[": "]", "{": "}"}
CLOSERS = set(PAIRS.values())


def closing(tokens, at):
    """The index of the bracket that closes the one at `at`."""
    depth = 0
    for i in range(at, len(tokens)):
        depth += (tokens[i].text in PAIRS) - (tokens[i].text in CLOSERS)
        if depth == 0:
            return i
    return len(tokens) - 1


def opening(tokens, at):
    """The index of the bracket that opens the one at `at`."""
    depth = 0
    for i in range(at, -1, -1):
        depth += (tokens[i].text in CLOSERS) - (tokens[i].text in PAIRS)
        if depth == 0:
            return i
    return 0


def after_generics(tokens, at):
    """The index after `<...>`, if it begins at `at`."""
    if at >= len(tokens) or tokens[at].text != "<":
        return at
    depth = 0
    for i in range(at, len(tokens)):
        depth += (tokens[i].text == "<") - (tokens[i].text == ">")
        if depth == 0:
            return i + 1
    return at


def is_for_tests(words):
    """Whether a `cfg` predicate, given as tokens, can hold in tests only."""

    def value(at):
        name = words[at]
        if at + 1 < len(words) and words[at + 1] == "(":
            parts, at = [], at + 2
            while at < len(words) and words[at] != ")":
                part, at = value(at)
                parts.append(part)
                at += at < len(words) and words[at] == ","
            if name == "not":
                return None if parts[0] is None else not parts[0], at + 1
            decisive = name == "any"
            if decisive in parts:
                return decisive, at + 1
            return None if None in parts else not decisive, at + 1
        at += 1
        if at < len(words) and words[at] == "=":
            at += 2
        return False if name == "test" else None, at

    return value(0)[0] is False


def without_tests(tokens):
    """The tokens that are compiled outside tests, and the names of the test modules in other files."""
    kept, modules, at = [], set(), 0
    while at < len(tokens):
        texts = [token.text for token in tokens[at : at + 4]]
        if texts == ["#", "[", "cfg", "("]:
            end = closing(tokens, at + 1)
            predicate = [token.text for token in tokens[at + 4 : closing(tokens, at + 3)]]
            if is_for_tests(predicate):
                at = end + 1
                # More attributes, then the item: up to its `;` or its block.
                while at < len(tokens) and tokens[at].text not in (";", "{"):
                    if tokens[at].text == "mod":
                        modules.add(tokens[at + 1].text)
                    at = closing(tokens, at) if tokens[at].text in PAIRS else at
                    at += 1
                at = (
                    closing(tokens, at) + 1
                    if at < len(tokens) and tokens[at].text == "{"
                    else at + 1
                )
                continue
        kept.append(tokens[at])
        at += 1
    return kept, modules


WRAPPERS = {"NonNull", "Option", "Result", "Box", "Vec", "UnsafeCell", "ManuallyDrop", "Apart"}
NOISE = {"&", "*", "mut", "const", "dyn", "impl", "[", "(", "pub", "crate", "super", "in", "static"}


def head(tokens):
    """The name of the type that is written as `tokens`, without references, arrays and wrappers."""
    at = 0
    while at < len(tokens):
        text = tokens[at].text
        if text in NOISE or text == "::":
            at += 1
        elif re.match(r"[A-Za-z_]\w*$", text):
            if at + 1 < len(tokens) and tokens[at + 1].text == "::":
                at += 2
            elif text in WRAPPERS and at + 1 < len(tokens) and tokens[at + 1].text == "<":
                at += 2
            else:
                return text
        else:
            return None
    return None


def split(tokens, separator=","):
    """The parts between separators that are in no bracket."""
    parts, part, depth = [], [], 0
    for token in tokens:
        depth += (token.text in PAIRS or token.text == "<") - (
            token.text in CLOSERS or token.text == ">"
        )
        if token.text == separator and depth == 0:
            parts.append(part)
            part = []
        else:
            part.append(token)
    return parts + [part] if part else parts


def self_argument(tokens, start):
    return any(token.text == "self" for token in tokens[start + 1 : start + 5])


def strip_visibility(tokens):
    if tokens and tokens[0].text == "pub":
        tokens = tokens[1:]
        if tokens and tokens[0].text == "(":
            tokens = tokens[closing(tokens, 0) + 1 :]
    return tokens


def without_attributes(tokens):
    kept, at = [], 0
    while at < len(tokens):
        if tokens[at].text == "#" and at + 1 < len(tokens) and tokens[at + 1].text == "[":
            at = closing(tokens, at + 1) + 1
        else:
            kept.append(tokens[at])
            at += 1
    return kept


def functions(tokens):
    """(type of the impl or None, name, index of the arguments, index of the body's end) of each function."""
    blocks = []
    for at, token in enumerate(tokens):
        starts = at == 0 or tokens[at - 1].text in ("}", ";", "]", "unsafe", "{", "pub", ")")
        if token.text in ("impl", "trait") and starts:
            brace = next((i for i in range(at, len(tokens)) if tokens[i].text in ("{", ";")), None)
            if brace is None or tokens[brace].text == ";":
                continue
            begin = at + 1 if token.text == "trait" else after_generics(tokens, at + 1)
            written = tokens[begin:brace]
            words = [part.text for part in written]
            if "for" in words:
                written = written[words.index("for") + 1 :]
            blocks.append((brace, closing(tokens, brace), head(written)))
    found = []
    for at, token in enumerate(tokens):
        if (
            token.text != "fn"
            or at + 1 >= len(tokens)
            or not re.match(r"[A-Za-z_]", tokens[at + 1].text)
        ):
            continue
        start = after_generics(tokens, at + 2)
        if start >= len(tokens) or tokens[start].text != "(":
            continue
        end = closing(tokens, start)
        while end < len(tokens) and tokens[end].text not in ("{", ";"):
            # Past `[u8; 16]`, too.
            end = closing(tokens, end) + 1 if tokens[end].text in ("(", "[") else end + 1
        end = closing(tokens, end) if end < len(tokens) and tokens[end].text == "{" else end
        inside = [block for block in blocks if block[0] < at < block[1]]
        owner = max(inside)[2] if inside else None
        found.append((owner, tokens[at + 1].text, start, end))
    return found
