#!/usr/bin/env python3
"""Checks exports of Drawbridge's audit logs (drawbridge-audit-export/1) with nothing but this file and Python 3.9.
KEY is the verifier key that you kept (or a file with it), CHECKPOINT a signed checkpoint that you kept. One verdict for
each export; exit code 1 if any is not OK. Written apart from the gateway's own verifier, to the same format."""
import argparse, base64, datetime, hashlib, json, os, re, sys

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493  # Ed25519: RFC 8032, sections 5.1 and 6
D = -121665 * pow(121666, P - 2, P) % P
HASH = "[A-Za-z0-9+/]{43}="
HEADER = re.compile(r'\{"format":"drawbridge-audit-export/1","log":"([^"\\]+)","key":"([^"\\]+)",'
                    rf'"first":(0|[1-9][0-9]*),"prefix":\[((?:"{HASH}"(?:,"{HASH}")*)?)\]\}}')
ENTRY = re.compile(rf'\{{"index":(0|[1-9][0-9]*),"hash":"({HASH})","bond":"((?:{HASH})?)","entry":(.*)\}}', re.S)
class Bad(Exception): pass  # what is wrong, and with the entry of which index
def bad(what, index=None): raise Bad(what, index)
def sha(*parts): return hashlib.sha256(b"".join(parts)).digest()
def number(n): return n if type(n) is int and 0 <= n < 2**64 else None
def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P
def mul(s, p):
    q = (0, 1, 1, 0)
    while s: q, p, s = add(q, p) if s & 1 else q, add(p, p), s >> 1
    return q
def point(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, (y & (1 << 255) - 1) % P
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P: x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - x2) % P: bad("the key is no point of the curve")
    if x & 1 != sign: x = P - x
    return x, y, 1, x * y % P
BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
def signed(public, text, signature):
    r, s, a = signature[:32], int.from_bytes(signature[32:], "little"), point(public)
    k = int.from_bytes(hashlib.sha512(r + public + text).digest(), "little") % L
    x, y, z, _ = add(mul(s, BASE), mul(k, (P - a[0], a[1], 1, P - a[3])))
    point_r = (y * pow(z, P - 2, P) % P | (x * pow(z, P - 2, P) % P & 1) << 255).to_bytes(32, "little")
    return len(signature) == 64 and s < L and point_r == r
def b64(text):
    try: data = base64.b64decode(text, validate=True)
    except ValueError: data = None
    return data if data is not None and base64.b64encode(data).decode() == text else bad("a base64 text was changed")
def parse_key(text):
    name, key_id, key = (text.split("+", 2) + ["", ""])[:3]
    public = b64(key)
    if len(public) != 33 or public[0] != 1 or key_id != sha(name.encode(), b"\n", public)[:4].hex(): bad("that is no key")
    return text, name, public, point(public[1:])
def parse_checkpoint(note, key):  # (size, root, time, first) of a note that `key` must have signed
    (_, name, public, _), (text, gap, block) = key, note.rpartition("\n\n")
    text, mine, lines = text + "\n", None, block[:-1].split("\n")
    if not gap or not block.endswith("\n") or any(c < " " and c != "\n" for c in note): bad("that is no checkpoint")
    for line in lines:
        dash, who, data = (line.split(" ", 2) + ["", ""])[:3]
        data = b64(data)
        if dash != "—" or not who or len(data) < 5 or len(lines) > 100 or re.search(r"[\s+]", who): bad("that is no signature")
        if mine is None and (who, data[:4]) == (name, sha(name.encode(), b"\n", public)[:4]): mine = data[4:]
    if mine is None or not signed(public[1:], text.encode(), mine): bad(f"the checkpoint isn't signed by {name}")
    (origin, size, top), more = (text + "\n\n").split("\n")[:3], dict(re.findall(r"^(\S+) (.*)$", text, re.M))
    if origin != name or not re.fullmatch("0|[1-9][0-9]*", size): bad("the checkpoint is of another log")
    try: time, first = datetime.datetime.fromisoformat(more["time"].replace("Z", "+00:00")), int(more.get("first", 0))
    except (KeyError, ValueError): bad("the checkpoint doesn't say when it was signed")
    return int(size), b64(top), time, first
def root(roots):
    total = roots[-1] if roots else sha()
    for left in reversed(roots[:-1]): total = sha(b"\x01", left, total)
    return total
def count(entry, grants, whole):  # the running numbers of the impersonations, without gaps
    text = lambda name: entry.get(name) if isinstance(entry.get(name), str) else None
    stage, event, grant, n = text("stage"), text("event"), text("impersonation_id"), number(entry.get("impersonation_seq"))
    if grant is None: return
    known = whole or (stage, event) == ("act", "platform.impersonation_started")
    last, ended = grants.get(grant, (0 if known else None, False))
    if stage == "intent":
        if n is None or ended: bad(f"a request of impersonation {grant} without number, or after its end")
        if n != (last + 1 if last is not None else max(n, 1)): bad(f"impersonation {grant} has a gap before request {n}")
        last = n
    elif stage == "act" and event == "platform.impersonation_ended":
        if n is None or last not in (None, n): bad(f"impersonation {grant} ended with request {n}, and the log has {last}")
        last, ended = n, True
    grants[grant] = (last, ended)
def check(lines, given=None, against=(), days=None):  # lines: bytes; given: a key's text; against: notes
    header = HEADER.fullmatch(next(lines, b"").decode()) or bad("it doesn't begin with the header of an export")
    log, key, first = header[1], parse_key(header[2]), int(header[3])
    name = log.rpartition("/")[2] if "/" in log else ""
    if key[1] != log or not re.fullmatch("platform|org_[a-z0-9_-]{1,64}", name): bad("the header's key isn't of its log")
    if given not in (None, key[0]): bad("the log names another key than the one that was given")
    roots, size, newest, grants = [b64(text) for text in re.findall(HASH, header[4])], first, None, {}
    if number(first) is None or len(roots) != bin(first).count("1"): bad("the prefix isn't that of the first entry")
    kept = [parse_checkpoint(note, key) for note in against]
    def compare():
        if any(k[0] == size and k[1] != root(roots) for k in kept): bad("rewritten since a kept checkpoint", size - 1)
    compare()
    for line in (line.decode() for line in lines):
        if line.startswith('{"checkpoint"'):
            try: note = json.loads(line)["checkpoint"]
            except (ValueError, KeyError): note = None
            if json.dumps({"checkpoint": note}, separators=(",", ":"), ensure_ascii=False) != line: note = None
            told = parse_checkpoint(note, key) if isinstance(note, str) else bad("the checkpoint's line was changed")
            if told[0] != size or newest and newest[0] >= size: bad(f"a checkpoint of {told[0]} entries stands behind {size}")
            if told[1] != root(roots): bad("the signed root isn't that of these entries", newest[0] if newest else first)
            if told[3] > size or newest and newest[3] > told[3]: bad("the log begins elsewhere than before")
            newest = told
            continue
        entry = ENTRY.fullmatch(line) or bad("neither entry nor checkpoint", size)
        index, leaf, bond, body = int(entry[1]), b64(entry[2]), b64(entry[3]), entry[4]
        if index != size: bad(f"entry {size} is due here", index)
        if sha(b"\x00", body.encode(), b"\n", bond) != leaf: bad("the entry was changed", index)
        try: value = json.loads(body, parse_constant=lambda _: 1 // 0)
        except (ValueError, ZeroDivisionError, RecursionError): value = None
        if not isinstance(value, dict): bad("the entry isn't a JSON object", index)
        about = value.get("org_id", name if value.get("stage") == "outcome" else None)
        if name not in ("platform", about): bad("not about this log's org", index)
        try: count(value, grants, first == 0)
        except Bad as gap: bad(gap.args[0], index)
        low, size = size, size + 1
        while low & 1: leaf, low = sha(b"\x01", roots.pop(), leaf), low >> 1
        roots.append(leaf)
        compare()
    if not newest or newest[0] != size: bad("it doesn't end with a signed checkpoint", size)
    if newest[3] < first: bad("its beginning was cut off", newest[3])
    for then in kept:
        if then[0] > size: bad(f"cut off or rolled back: a kept checkpoint has {then[0]} entries", size)
        held = datetime.timedelta(days or (365 if name == "platform" else 90))
        if first > then[0] and newest[2] < then[2] + held: bad("entries were removed before their time", then[0])
    seen, told = sum(k[0] >= first for k in kept), "as given" if given else "came with the export: compare it"
    return (f"OK {log}: {size - first} entries, {len(grants)} impersonation{'s'[:len(grants) != 1]}, no gaps, grown out of {seen} "
            f"of {len(kept)} kept checkpoints, newest checkpoint of {newest[2].isoformat()}; key {key[0]} ({told})")
def verdict(path, given=None, against=(), days=None):  # (whether it is OK, line of the fault, what to say)
    at = [0]
    def lines(file):
        for at[0], line in enumerate(file, 1): yield line[:-1] if line.endswith(b"\n") else bad("the last line has no end: the file was cut off")
    try:
        with open(path, "rb") as file: return True, None, check(lines(file), given, against, days)
    except Bad as fault: what, index = fault.args
    except OSError as error: return False, None, f"NOT OK: it can't be read: {error.strerror}"
    except UnicodeDecodeError: what, index = "the line isn't UTF-8", None
    return False, at[0], f"NOT OK: line {at[0]}{'' if index is None else f', entry {index}'}: {what}"
def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name, more in (("--key", {}), ("--against", {"metavar": "CHECKPOINT", "action": "append", "default": []}),
                       ("--retention-days", {"type": int}), ("exports", {"metavar": "EXPORT", "nargs": "+"})): parser.add_argument(name, **more)
    told, read = parser.parse_args(), lambda path: open(path, encoding="utf-8", newline="").read()
    key, notes = read(told.key).strip() if told.key and os.path.exists(told.key) else told.key, [read(p) for p in told.against]
    verdicts = [(path, verdict(path, key, notes, told.retention_days)) for path in told.exports]
    for path, told in verdicts: print(f"{path}: {told[2]}")
    sys.exit(0 if all(told[0] for _, told in verdicts) else 1)
if __name__ == "__main__": main()
