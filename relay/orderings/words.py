"""Which fields are atomic words, and what functions hand out: read from the declarations."""

import re

from .rust import PAIRS, after_generics, closing, functions, head, self_argument, split
from .rust import strip_visibility, without_attributes

ATOMIC = re.compile(r"(Atomic(Bool|Ptr|[IU](8|16|32|64|size))|GroupedU64)$")


class Declarations:
    """The types of fields and of what functions return, over all sources."""

    def __init__(self):
        self.fields = {}  # (type, field) -> type
        self.returns = {}  # (type or None, function) -> type
        self.own = {}  # (word of sync.rs, operation) -> whether it is told its ordering
        self.own_types = set()
        self.tuples = {}  # tuple struct -> number of fields
        self.statics = {}  # atomic static -> type
        self.targets = {}  # type -> what it dereferences to

    def is_atomic(self, name):
        return name is not None and (name in self.own_types or bool(ATOMIC.match(name)))

    def is_operation(self, name):
        """Whether a word of `sync.rs` has an operation of that name."""
        return any(operation == name for _, operation in self.own)

    def word(self, owner, field):
        return owner if field == "0" and self.tuples.get(owner) == 1 else f"{owner}.{field}"

    def read(self, path, tokens):
        for at, token in enumerate(tokens):
            if token.text == "struct":
                self.read_struct(tokens, at + 1)
            if token.text == "static" and tokens[at + 2].text == ":":
                kind = head(tokens[at + 3 :])
                if self.is_atomic(kind):
                    self.statics[tokens[at + 1].text] = kind
            if token.text == "Deref" and tokens[at + 1].text == "for":
                brace = next(i for i in range(at, len(tokens)) if tokens[i].text == "{")
                target = next(
                    i for i in range(brace, closing(tokens, brace)) if tokens[i].text == "Target"
                )
                self.targets[head(tokens[at + 2 :])] = head(tokens[target + 2 :])
        is_gateway = path.name == "sync.rs"
        if is_gateway:
            self.own_types |= {
                owner for (owner, _), kind in self.fields.items() if ATOMIC.match(kind or "")
            }
        for owner, name, start, end in functions(tokens):
            self.read_function(tokens, owner, name, start, end)
            if is_gateway and owner in self.own_types and self_argument(tokens, start):
                words = [token.text for token in tokens[start : closing(tokens, start)]]
                self.own[owner, name] = "Ordering" in words

    def read_struct(self, tokens, at):
        name = tokens[at].text
        at = after_generics(tokens, at + 1)
        while at < len(tokens) and tokens[at].text not in ("{", "(", ";"):
            at += 1
        if at == len(tokens) or tokens[at].text == ";":
            return
        parts = split(without_attributes(tokens[at + 1 : closing(tokens, at)]))
        if tokens[at].text == "(":
            self.tuples[name] = len(parts)
        for i, part in enumerate(parts):
            field, written = str(i), part
            if tokens[at].text == "{":
                colon = next((j for j, token in enumerate(part) if token.text == ":"), None)
                if not colon:
                    continue
                field, written = part[colon - 1].text, part[colon + 1 :]
            self.fields[name, field] = head(strip_visibility(written))

    def read_function(self, tokens, owner, name, start, end):
        arguments = closing(tokens, start)
        if tokens[arguments + 1].text == "->":
            written = []
            for token in tokens[arguments + 2 : end]:
                if token.text in ("where", "{", ";", "$"):
                    break
                written.append(token)
            result = head(written)
            result = owner if result == "Self" else result
            self.returns[owner, name] = result

    def returned(self, owner, name):
        """What method `name` of `owner` returns; whatever all methods of that name return, if the owner is unknown."""
        if (owner, name) not in self.returns:
            owner = self.targets.get(owner, owner)
        if (owner, name) in self.returns:
            return self.returns[owner, name]
        if owner is not None:
            return None
        results = {result for (_, other), result in self.returns.items() if other == name}
        return results.pop() if len(results) == 1 else None

    def owners_of(self, field):
        return [
            owner
            for (owner, name), kind in self.fields.items()
            if name == field and self.is_atomic(kind)
        ]
