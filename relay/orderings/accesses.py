"""Finds the atomic accesses of the sources."""

import re
from collections import namedtuple

from .rust import (
    CLOSERS,
    ORDERINGS,
    PAIRS,
    after_generics,
    closing,
    functions,
    head,
    opening,
    split,
)
from .rust import tokens_of, without_tests
from .words import ATOMIC, Declarations

METHODS = re.compile(
    r"(load|store|swap|compare_exchange|compare_exchange_weak|compare_and_swap|fetch_\w+)$"
)
FENCES = ("fence", "compiler_fence")

Access = namedtuple("Access", "path line function word operation ordering")


class Unclear(Exception):
    pass


class Reader:
    """Finds the accesses of one file."""

    def __init__(self, path, tokens, declarations):
        self.path = path
        self.tokens = tokens
        self.known = declarations
        self.functions = functions(tokens)
        self.problems = []

    def function_at(self, at):
        inside = [entry for entry in self.functions if entry[2] < at <= entry[3]]
        return (
            max(inside, key=lambda entry: entry[2]) if inside else (None, "-", 0, len(self.tokens))
        )

    def accesses(self):
        found = []
        for at, token in enumerate(self.tokens):
            try:
                access = self.access_at(at, token)
            except Unclear as error:
                self.problems.append(f"{self.path}:{token.line}: {error}")
                continue
            if access:
                owner, name, _, _ = self.function_at(at)
                found.append(Access(self.path, token.line, name, *access))
        return found

    def access_at(self, at, token):
        tokens, name = self.tokens, token.text
        following = tokens[at + 1].text if at + 1 < len(tokens) else ""
        before = tokens[at - 1].text if at else ""
        if name == "asm" and following == "!":
            template = tokens[at + 2 : closing(tokens, at + 2)]
            # What the compiler is told to touch no memory accesses no word.
            if any(part.text == "nomem" for part in template):
                return None
            locked = any(
                re.search(r"\block\b|\bxchg\b", part.text) for part in template if '"' in part.text
            )
            owner, function, _, _ = self.function_at(at)
            return owner or function, "asm", "LOCKed" if locked else "non-LOCKed"
        call = at + 1
        if following == "::" and tokens[at + 2].text == "<":
            call = after_generics(tokens, at + 2)
        if call >= len(tokens) or tokens[call].text != "(":
            return None
        arguments = tokens[call + 1 : closing(tokens, call)]
        if name in FENCES and before not in (".", "fn"):
            return name, "fence", self.ordering(arguments, name)
        is_method = bool(METHODS.match(name))
        is_owners = self.known.is_operation(name)
        if not (is_method or is_owners) or before not in (".", "::"):
            return None
        told = any(part.text == "Ordering" or part.text in ORDERINGS for part in arguments)
        if before == ".":
            kind, word = self.evaluate(self.chain_before(at - 1), at)
        else:
            # `Type::operation(&word, ...)`
            first = split(arguments)[0] if arguments else []
            kind, word = self.evaluate_tokens(first, at)
        if word is None or not self.known.is_atomic(kind):
            if told and is_method:
                raise Unclear(
                    f"cannot tell of which word this is the `{name}`; give it a binding with a type"
                )
            if kind is None and is_owners and not is_method and not self.is_unsafe(at):
                raise Unclear(
                    f"cannot tell whether this `{name}` is that of a word; give it a binding with a type"
                )
            return None
        if kind in self.known.own_types:
            if (kind, name) not in self.known.own:
                return None
            if not self.known.own[kind, name]:
                return word, name, "AcqRel"
        elif not is_method:
            return None
        return word, name, self.ordering(arguments, name)

    def is_unsafe(self, at):
        """Whether the place lies in an `unsafe` block of its function: `add` there is a pointer's."""
        _, _, start, _ = self.function_at(at)
        depth = 0
        for i in range(at, start, -1):
            depth += (self.tokens[i].text == "}") - (self.tokens[i].text == "{")
            if depth < 0:
                if self.tokens[i - 1].text == "unsafe":
                    return True
                depth = 0
        return False

    def ordering(self, arguments, name):
        named = [
            arguments[i + 2].text
            for i in range(len(arguments) - 2)
            if arguments[i].text == "Ordering" and arguments[i + 1].text == "::"
        ]
        if not named:
            named = [token.text for token in arguments if token.text in ORDERINGS]
        if not named:
            # Handed through by a function that has it from its caller.
            return "the caller's"
        return "/".join(named)

    def chain_before(self, dot):
        """The tokens of the expression that ends before the `.` at `dot`."""
        at = dot - 1
        while at >= 0:
            text = self.tokens[at].text
            if text == "?":
                at -= 1
                continue
            if text == ">":
                # The end of a turbofish.
                depth = 0
                while at >= 0:
                    depth += (self.tokens[at].text == ">") - (self.tokens[at].text == "<")
                    if depth == 0:
                        break
                    at -= 1
                at -= 1
                continue
            if text in CLOSERS:
                at = opening(self.tokens, at)
                previous = self.tokens[at - 1].text
                if previous == "unsafe" and self.tokens[at].text == "{":
                    at -= 1
                elif self.tokens[at].text == "{":
                    break
                elif re.match(r"\w+$|>$|\)$|\]$|\?$", previous) and previous not in (
                    "return",
                    "in",
                    "match",
                    "if",
                ):
                    at -= 1
                    continue
            previous = self.tokens[at - 1].text if at else ""
            if previous in (".", "::"):
                at -= 2
                continue
            break
        return self.tokens[max(at, 0) : dot]

    def evaluate_tokens(self, tokens, at):
        tokens = list(tokens)
        while tokens and tokens[0].text in ("&", "*", "mut", "raw", "const"):
            tokens = tokens[1:]
        if len(tokens) > 2 and tokens[0].text in ("Some", "Ok") and tokens[1].text == "(":
            return self.evaluate_tokens(tokens[2 : closing(tokens, 1)], at)
        # The postfix part only: `a + b` is no place.
        return self.evaluate(tokens, at)

    def evaluate(self, chain, at):
        """(type, word) of an expression, as far as it is known at token `at`."""
        if not chain:
            return None, None
        i, kind, word = 0, None, None
        first = chain[0].text
        if first == "unsafe":
            first, chain = "{", chain[1:]
        if first in ("(", "{"):
            end = closing(chain, 0)
            kind, word = self.evaluate_tokens(chain[1:end], at)
            i = end + 1
        elif first == "self":
            kind, i = self.function_at(at)[0], 1
        else:
            # A path: a local name, or the last segment of a call.
            while i + 2 < len(chain) and chain[i + 1].text == "::":
                i += 2
                if chain[i].text == "<":
                    i = after_generics(chain, i) - 1
            name = chain[i].text
            i += 1
            if i < len(chain) and chain[i].text == "(":
                owner = chain[i - 3].text if i >= 3 and chain[i - 2].text == "::" else None
                owner = self.function_at(at)[0] if owner == "Self" else owner
                kind = self.known.returned(owner, name)
                i = closing(chain, i) + 1
            elif i == 1:
                kind, word = self.local(name, at)
                if kind is None and name in self.known.statics:
                    kind, word = self.known.statics[name], name
        while i < len(chain):
            text = chain[i].text
            if text == "[":
                i = closing(chain, i) + 1
            elif text == ".":
                name = chain[i + 1].text
                i += 2
                if i < len(chain) and chain[i].text == "::":
                    i = after_generics(chain, i + 1)
                if i < len(chain) and chain[i].text == "(":
                    i = closing(chain, i) + 1
                    result = self.known.returned(kind, name)
                    if result:
                        word = f"{kind}.{name}" if kind and self.known.is_atomic(result) else None
                        if word is None and self.known.is_atomic(result):
                            owners = {o for (o, f) in self.known.returns if f == name}
                            word = f"{owners.pop()}.{name}" if len(owners) == 1 else None
                        kind = result
                elif not (name == "0" and ATOMIC.match(kind or "")):
                    # A wrapper counts as the word that it holds.
                    kind, word = self.field(kind, name)
            else:
                i += 1
        return kind, word

    def field(self, kind, name):
        if kind in self.known.targets and (kind, name) not in self.known.fields:
            kind = self.known.targets[kind]
        if (kind, name) in self.known.fields:
            found = self.known.fields[kind, name]
            return found, self.known.word(kind, name) if self.known.is_atomic(found) else None
        if kind is None:
            owners = self.known.owners_of(name)
            if len(owners) == 1:
                return self.known.fields[owners[0], name], self.known.word(owners[0], name)
        return None, None

    def local(self, name, at):
        """(type, word) of the local `name` at token `at`: its last binding before that."""
        _, _, start, _ = self.function_at(at)
        tokens = self.tokens
        for i in range(at - 1, start, -1):
            if tokens[i].text != name or tokens[i - 1].text == ".":
                continue
            following = tokens[i + 1].text
            if (
                following == ":"
                and tokens[i + 2].text != ":"
                and tokens[i - 1].text in ("(", ",", "|", "mut", "let")
            ):
                end = i + 2
                level = 0
                while level > 0 or tokens[end].text not in (",", ")", "|", "="):
                    level += tokens[end].text in PAIRS or tokens[end].text == "<"
                    level -= tokens[end].text in CLOSERS or tokens[end].text == ">"
                    end += 1
                kind = head(tokens[i + 2 : end])
                if kind is not None:
                    kind = self.function_at(at)[0] if kind == "Self" else kind
                    return kind, (
                        f"{self.function_at(at)[1]}.{name}" if self.known.is_atomic(kind) else None
                    )
            bound = self.binding(i)
            if bound is not None:
                return self.evaluate_tokens(bound, i)
        return None, None

    def binding(self, at):
        """The tokens of the expression that the name at `at` is bound to, if it is bound there."""
        tokens = self.tokens
        begin = at - 1
        while tokens[begin].text in ("(", "mut", "Some", "Ok", "ref", "&", ",") or (
            re.match(r"\w+$", tokens[begin].text)
            and tokens[begin + 1].text == ","
            and tokens[begin].text != "let"
        ):
            begin -= 1
        opener = tokens[begin].text
        if opener == "|" and tokens[begin - 1].text == "(":
            # A closure's argument: what the method is called on.
            method = begin - 2
            if tokens[method - 1].text == ".":
                return self.chain_before(method - 1)
            return None
        if opener not in ("let", "for"):
            return None
        mark = "=" if opener == "let" else "in"
        i = at + 1
        while (
            i < len(tokens)
            and tokens[i].text in (")", ",", "_")
            or re.match(r"\w+$", tokens[i].text)
            and tokens[i].text != mark
        ):
            i += 1
        if tokens[i].text != mark:
            return None
        end = i + 1
        while end < len(tokens) and tokens[end].text not in (";", "{", "else"):
            end = closing(tokens, end) if tokens[end].text in ("(", "[") else end
            end += 1
            if tokens[end].text == "{" and tokens[end - 1].text == "unsafe":
                end = closing(tokens, end) + 1
        bound = tokens[i + 1 : end]
        if (
            tokens[begin + 1].text == "("
            and bound
            and bound[0].text == "("
            and closing(bound, 0) == len(bound) - 1
        ):
            # One of several that are bound together.
            place = sum(token.text == "," for token in tokens[begin + 1 : at])
            return split(bound[1:-1])[place]
        if tokens[at - 1].text == "," and bound[-1].text == ")":
            # The second of a pair: what was zipped to the first.
            zipped = opening(bound, len(bound) - 1)
            if bound[zipped - 1].text == "zip":
                return bound[zipped + 1 : -1]
        return bound


def read_sources(files):
    """(accesses, problems) of `files`, a dict from path to text."""
    parsed, tests = {}, set()
    for path, text in files.items():
        tokens, modules = without_tests(tokens_of(text))
        parsed[path] = tokens
        folder = (
            path.parent if path.name in ("mod.rs", "lib.rs", "main.rs") else path.with_suffix("")
        )
        tests |= {folder / name for name in modules}
    known = Declarations()
    live = {
        path: tokens
        for path, tokens in parsed.items()
        if path.with_suffix("") not in tests and not tests & set(path.parents)
    }
    # The gateway first: the words that it declares are atomics to the others.
    for path, tokens in sorted(live.items(), key=lambda entry: entry[0].name != "sync.rs"):
        known.read(path, tokens)
    accesses, problems = [], []
    for path, tokens in sorted(live.items()):
        reader = Reader(path, tokens, known)
        accesses += reader.accesses()
        problems += reader.problems
    return accesses, problems
