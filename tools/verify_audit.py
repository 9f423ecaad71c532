#!/usr/bin/env python3
"""Checks exports of Drawbridge's audit logs (drawbridge-audit-export/1), with nothing but this file and Python 3.9.

    verify_audit.py [--key KEY] [--against CHECKPOINT]... EXPORT...

KEY is the verifier key that you kept (or a file with it), CHECKPOINT a signed checkpoint that you kept. One verdict
for each export; exit code 1 if any is not OK. Written apart from the gateway's own verifier, to the same format.
"""
import argparse, base64, datetime, hashlib, json, os, re, sys

P = 2**255 - 19                                              # Ed25519: RFC 8032, sections 5.1 and 6
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
HASH = "[A-Za-z0-9+/]{43}="
HEADER = re.compile(r'\{"format":"drawbridge-audit-export/1","log":"([^"\\]+)","key":"([^"\\]+)",'
                    rf'"first":(0|[1-9][0-9]*),"prefix":\[((?:"{HASH}"(?:,"{HASH}")*)?)\]\}}')
ENTRY = re.compile(rf'\{{"index":(0|[1-9][0-9]*),"hash":"({HASH})","bond":"((?:{HASH})?)","entry":(.*)\}}', re.S)

class Bad(Exception):
    """What is wrong, and with the entry of which index."""
    def __init__(self, what, index=None): self.what, self.index = what, index

def sha(*parts): return hashlib.sha256(b"".join(parts)).digest()

def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P

def mul(s, p):
    q = (0, 1, 1, 0)
    while s:
        if s & 1: q = add(q, p)
        p, s = add(p, p), s >> 1
    return q

def point(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, (y & (1 << 255) - 1) % P
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P: x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - x2) % P: raise Bad("the key is no point of the curve")
    if x & 1 != sign: x = P - x
    return x, y, 1, x * y % P

BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))

def signed(public, text, signature):
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or s >= L: return False
    a = point(public)
    k = int.from_bytes(hashlib.sha512(r + public + text).digest(), "little") % L
    x, y, z, _ = add(mul(s, BASE), mul(k, (P - a[0], a[1], 1, P - a[3])))
    inverse = pow(z, P - 2, P)
    return (y * inverse % P | (x * inverse % P & 1) << 255).to_bytes(32, "little") == r

def b64(text):
    try: data = base64.b64decode(text, validate=True)
    except ValueError: data = None
    if data is None or base64.b64encode(data).decode() != text: raise Bad("a base64 text was changed")
    return data

def parse_key(text):
    name, number, key = (text.split("+", 2) + ["", ""])[:3]
    public = b64(key)
    if len(public) != 33 or public[0] != 1 or number != sha(name.encode(), b"\n", public)[:4].hex():
        raise Bad("the header's key isn't a verifier key")
    point(public[1:])
    return text, name, public

def parse_checkpoint(note, key):
    """(size, root, time, first) of a signed note; `key` must have signed it."""
    _, name, public = key
    text, gap, block = note.rpartition("\n\n")
    text += "\n"
    if not gap or not block.endswith("\n") or any(c < " " and c != "\n" for c in note):
        raise Bad("the checkpoint isn't a signed note")
    mine, lines = None, block[:-1].split("\n")
    for line in lines:
        dash, who, data = (line.split(" ", 2) + ["", ""])[:3]
        data = b64(data)
        if dash != "—" or not who or "+" in who or len(data) < 5 or len(lines) > 100 or re.search(r"\s", who):
            raise Bad("the checkpoint's signatures were changed")
        if mine is None and (who, data[:4]) == (name, sha(name.encode(), b"\n", public)[:4]): mine = data[4:]
    if mine is None or not signed(public[1:], text.encode(), mine): raise Bad(f"the checkpoint isn't signed by {name}")
    origin, size, root, *more = (text[:-1].split("\n") + ["", ""])
    more = dict(line.split(" ", 1) for line in more if " " in line)
    if origin != name or not re.fullmatch("0|[1-9][0-9]*", size): raise Bad("the checkpoint is of another log")
    try: time = datetime.datetime.fromisoformat(more["time"].replace("Z", "+00:00"))
    except (KeyError, ValueError): raise Bad("the checkpoint doesn't say when it was signed")
    return int(size), b64(root), time, int(more.get("first", 0))

def root(roots):
    total = roots[-1] if roots else sha()
    for left in reversed(roots[:-1]): total = sha(b"\x01", left, total)
    return total

def count(entry, grants, whole):
    """The running numbers of the impersonations, without gaps."""
    text = lambda name: entry.get(name) if isinstance(entry.get(name), str) else None
    stage, event, grant, n = text("stage"), text("event"), text("impersonation_id"), entry.get("impersonation_seq")
    if grant is None: return
    number = n if type(n) is int and 0 <= n < 2**64 else None
    begins = stage == "act" and event == "platform.impersonation_started"
    last, ended = grants.get(grant, (0 if whole or begins else None, False))
    if stage == "intent":
        if number is None or ended: raise Bad(f"a request of impersonation {grant} without number, or after its end")
        if number != (last + 1 if last is not None else max(number, 1)): raise Bad(f"a gap in impersonation {grant}")
        last = number
    elif stage == "act" and event == "platform.impersonation_ended":
        if number is None or number != (number if last is None else last):
            raise Bad(f"impersonation {grant} ended with request {number}, the log has {last}")
        last, ended = number, True
    grants[grant] = (last, ended)

def check(lines, given=None, against=()):
    """(log, entries, impersonations, checkpoint) of the lines (bytes); raises Bad. `given`: a key's text."""
    header = HEADER.fullmatch(next(lines, b"").decode())
    if not header: raise Bad("it doesn't begin with the header of an export")
    log, key, first = header[1], parse_key(header[2]), int(header[3])
    name = log.rpartition("/")[2] if "/" in log else ""
    if key[1] != log or not re.fullmatch("platform|org_[a-z0-9_-]{1,64}", name): raise Bad("key and log differ")
    if given is not None and given != key[0]: raise Bad("the log names another key than the one that was given")
    roots = [b64(text) for text in re.findall(HASH, header[4])]
    if first >= 2**64 or len(roots) != bin(first).count("1"): raise Bad("the prefix isn't that of the first entry")
    size, newest, grants = first, None, {}
    kept = [parse_checkpoint(note, key) for note in against]
    def compare():
        if any(k[0] == size and k[1] != root(roots) for k in kept): raise Bad("rewritten since a kept checkpoint", size - 1)
    compare()
    for line in (line.decode() for line in lines):
        entry = ENTRY.fullmatch(line)
        if line.startswith('{"checkpoint"'):
            try: note = json.loads(line)["checkpoint"]
            except (ValueError, KeyError): note = None
            if json.dumps({"checkpoint": note}, separators=(",", ":"), ensure_ascii=False) != line or not isinstance(note, str):
                raise Bad("the line of the checkpoint was changed")
            told = parse_checkpoint(note, key)
            if told[0] != size or newest and newest[0] >= size: raise Bad(f"a checkpoint of {told[0]} entries behind {size}")
            if told[1] != root(roots): raise Bad("the signed root isn't that of these entries", newest[0] if newest else first)
            if told[3] > size or newest and newest[3] > told[3]: raise Bad("the log begins elsewhere than before")
            newest = told
            continue
        if not entry: raise Bad("neither entry nor checkpoint", size)
        index, leaf, bond, body = int(entry[1]), b64(entry[2]), b64(entry[3]), entry[4]
        if index != size: raise Bad(f"entry {size} is due here", index)
        if sha(b"\x00", body.encode(), b"\n", bond) != leaf: raise Bad("the entry was changed", index)
        try: value = json.loads(body, parse_constant=lambda _: 1 // 0)
        except (ValueError, ZeroDivisionError, RecursionError): value = None
        if not isinstance(value, dict): raise Bad("the entry isn't a JSON object", index)
        closing = "org_id" not in value and value.get("stage") == "outcome"
        if name != "platform" and value.get("org_id") != name and not closing: raise Bad("not about this log's org", index)
        try: count(value, grants, first == 0)
        except Bad as bad: raise Bad(bad.what, index)
        low = size
        while low & 1: leaf, low = sha(b"\x01", roots.pop(), leaf), low >> 1
        roots.append(leaf)
        size += 1
        compare()
    if not newest or newest[0] != size: raise Bad("it doesn't end with a signed checkpoint", size)
    if newest[3] < first: raise Bad("its beginning was cut off", newest[3])
    for then in kept:
        if then[0] > size: raise Bad(f"cut off or rolled back: a kept checkpoint has {then[0]} entries", size)
        days = datetime.timedelta(days=365 if name == "platform" else 90)
        if first > then[0] and newest[2] < then[2] + days: raise Bad("entries were removed before their time", then[0])
    return log, size - first, len(grants), newest[2].isoformat(), key[0]

def verdict(path, given=None, against=()):
    """(whether the export is OK, line of the fault, what to say)."""
    number = 0
    def lines(file):
        nonlocal number
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"): raise Bad("the last line has no end: the file was cut off")
            yield line[:-1]
    try:
        with open(path, "rb") as file: log, entries, grants, time, key = check(lines(file), given, against)
        return True, None, f"OK {log}: {entries} entries, {grants} impersonations, no gaps, checkpoint of {time}; key {key}"
    except Bad as bad: index, what = bad.index, bad.what
    except UnicodeDecodeError: index, what = None, "the line isn't UTF-8"
    where = f"line {number}" + ("" if index is None else f", entry {index}")
    return False, number, f"NOT OK: {where}: {what}"

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--key")
    parser.add_argument("--against", action="append", default=[])
    parser.add_argument("exports", nargs="+")
    told = parser.parse_args()
    read = lambda path: open(path, encoding="utf-8", newline="").read()
    key = read(told.key).strip() if told.key and os.path.exists(told.key) else told.key
    verdicts = [(path, verdict(path, key, [read(path) for path in told.against])) for path in told.exports]
    for path, (_, _, text) in verdicts: print(f"{path}: {text}")
    sys.exit(0 if all(ok for _, (ok, _, _) in verdicts) else 1)

if __name__ == "__main__": main()
