// What is wrong with the page for people who don't see it, see it badly, or use no mouse. An own script: it tells
// what it finds as lines; an empty list is a good page. (WCAG 2.2 numbers in brackets.)
const faults = [];
const shown = e => e.getClientRects().length > 0 && getComputedStyle(e).visibility !== "hidden";
const name = e => e.tagName.toLowerCase() + (e.id ? "#" + e.id : "") + ": " + (e.textContent || "").trim().slice(0, 40);

// Language, title, one h1, headings without gaps (3.1.1, 2.4.2, 1.3.1).
if (!document.documentElement.lang) faults.push("no language");
if (!document.title) faults.push("no title");
const headings = [...document.querySelectorAll("h1,h2,h3,h4,h5,h6")].filter(shown);
if (headings.filter(h => h.tagName === "H1").length !== 1) faults.push("not one h1");
let level = 0;
for (const h of headings) {
  const n = Number(h.tagName[1]);
  if (n > level + 1) faults.push("a heading is left out before " + name(h));
  level = n;
}

// Landmarks, and a way past the navigation (2.4.1).
for (const landmark of ["header", "main", "footer"])
  if (document.querySelectorAll("body > " + landmark).length !== 1) faults.push("not one " + landmark);
const skip = document.querySelector("a[href]");
if (!skip || skip.getAttribute("href") !== "#main" || !document.getElementById("main")) faults.push("no skip link first");

// Fields: a label that is seen, an autocomplete, what describes them is there (1.3.1, 1.3.5, 3.3.1).
for (const f of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
  if (!f.labels || f.labels.length !== 1 || !f.labels[0].textContent.trim()) faults.push("no label: " + name(f));
  for (const id of (f.getAttribute("aria-describedby") || "").split(" ").filter(Boolean))
    if (!document.getElementById(id)) faults.push("describedby names nothing: " + id);
  if (f.getAttribute("aria-invalid") === "true" && !f.getAttribute("aria-describedby")) faults.push("no error at " + name(f));
  if (f.type === "password" && !["current-password", "new-password", "off"].includes(f.autocomplete))
    faults.push("autocomplete of " + name(f));
}
for (const e of document.querySelectorAll("a[href], button, summary"))
  if (!(e.textContent.trim() || e.getAttribute("aria-label"))) faults.push("no name: " + e.outerHTML.slice(0, 80));
for (const e of document.querySelectorAll("img, svg"))
  if (!e.hasAttribute("alt") && e.getAttribute("aria-hidden") !== "true" && !e.closest("[role=img][aria-label]"))
    faults.push("a picture without text: " + e.outerHTML.slice(0, 60));
const ids = [...document.querySelectorAll("[id]")].map(e => e.id);
for (const id of new Set(ids)) if (ids.filter(i => i === id).length > 1) faults.push("id twice: " + id);
for (const t of document.querySelectorAll("table"))
  if (!t.caption || ![...t.querySelectorAll("th")].every(h => h.scope)) faults.push("a table without caption or scope");
for (const e of document.querySelectorAll("[tabindex]")) if (e.tabIndex > 0) faults.push("tabindex above 0: " + name(e));

// Contrast, from what is drawn: 4.5 : 1, 3 : 1 for large text (1.4.3), 3 : 1 for edges of fields (1.4.11).
const colour = text => {
  const [r, g, b, a] = (text.match(/[\d.]+/g) || []).map(Number);
  return { r, g, b, a: a === undefined ? 1 : a };
};
const light = c => {
  const one = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  return 0.2126 * one(c.r) + 0.7152 * one(c.g) + 0.0722 * one(c.b);
};
const ratio = (a, b) => {
  const [x, y] = [light(a), light(b)].sort((m, n) => n - m);
  return (x + 0.05) / (y + 0.05);
};
const ground = e => {
  for (; e; e = e.parentElement) {
    const c = colour(getComputedStyle(e).backgroundColor);
    if (c.a === 1) return c;
    if (c.a > 0) faults.push("a ground that is half seen through: " + name(e));
  }
  faults.push("no ground at all");
  return { r: 255, g: 255, b: 255, a: 1 };
};
for (const e of document.querySelectorAll("body *")) {
  const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
  const field = ["INPUT", "SELECT", "TEXTAREA"].includes(e.tagName) && e.type !== "hidden";
  if ((!own && !field) || !shown(e) || e.closest(".unseen")) continue;
  const style = getComputedStyle(e);
  const size = parseFloat(style.fontSize);
  const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
  const found = ratio(colour(style.color), ground(e));
  if (found < (large ? 3 : 4.5)) faults.push(`contrast ${found.toFixed(2)} of ${name(e)}`);
  if (field) {
    const edge = ratio(colour(style.borderTopColor), ground(e.parentElement));
    if (edge < 3) faults.push(`edge ${edge.toFixed(2)} of ${name(e)}`);
  }
}

// Nothing is wider than the window (1.4.10), what is pressed is large enough (2.5.8), and focus is seen (2.4.7).
if (document.documentElement.scrollWidth > innerWidth) {
  const wide = [...document.querySelectorAll("body *")].filter(e => shown(e) && e.getBoundingClientRect().right > innerWidth + 1);
  faults.push(`wider than ${innerWidth}: ${document.documentElement.scrollWidth}: ` + wide.slice(0, 3).map(name).join(" | "));
}
for (const e of document.querySelectorAll("button, input:not([type=hidden]), select, a.button, nav a")) {
  const box = e.getBoundingClientRect();
  if (shown(e) && (box.height < 24 || box.width < 24)) faults.push("too small: " + name(e));
}
const before = document.activeElement;
for (const e of document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")) {
  if (!shown(e)) continue;
  e.focus({ focusVisible: true });
  if (document.activeElement !== e) continue;
  const style = getComputedStyle(e);
  if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) faults.push("focus isn't seen on " + name(e));
}
if (before && before.focus) before.focus();
return faults;
