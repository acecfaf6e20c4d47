"""How the page of a run looks, and what stands around its sections."""

from __future__ import annotations

from string import Template

STYLE = """
:root { color-scheme: light dark; --ink: #1c2128; --soft: #59636e; --paper: #ffffff;
  --panel: #f5f7f9; --line: #d5dbe1; --good: #116329; --goodbg: #dafbe1; --bad: #a40e26;
  --badbg: #ffebe9; --dull: #59636e; --dullbg: #e9edf1; --accent: #0b57b0; --shade: #0003; }
@media (prefers-color-scheme: dark) { :root { --ink: #e3e8ee; --soft: #9aa5b1; --paper: #14181d;
  --panel: #1c2229; --line: #38414b; --good: #6fdd8b; --goodbg: #12361f; --bad: #ff9a94;
  --badbg: #4a1a1d; --dull: #a9b4bf; --dullbg: #2b333c; --accent: #7db8ff; --shade: #fff4; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 1160px; margin: 0 auto; padding: 24px 16px 64px; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 8px; }
h2 { font-size: 1.2rem; margin: 40px 0 12px; padding-bottom: 4px; border-bottom: 1px solid
  var(--line); }
h3 { font-size: 1rem; margin: 20px 0 8px; }
p { margin: 8px 0; } a { color: var(--accent); }
.lead { font-size: 1.1rem; } .soft { color: var(--soft); font-size: .9rem; }
nav { margin: 16px 0; display: flex; flex-wrap: wrap; gap: 4px 16px; font-size: .95rem; }
.facts { display: flex; flex-wrap: wrap; gap: 8px; margin: 16px 0; padding: 0; list-style: none; }
.facts li { background: var(--panel); border: 1px solid var(--line); border-radius: 8px;
  padding: 6px 12px; }
.facts b { display: block; font-size: 1.05rem; } .facts span { color: var(--soft);
  font-size: .85rem; }
.box { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; margin: 8px 0;
  max-width: 100%; background: /* a shade at an edge beyond which there is more */
  linear-gradient(to right, var(--paper) 40%, transparent) left / 40px 100% no-repeat local,
  linear-gradient(to left, var(--paper) 40%, transparent) right / 40px 100% no-repeat local,
  linear-gradient(to right, var(--shade), transparent) left / 14px 100% no-repeat scroll,
  linear-gradient(to left, var(--shade), transparent) right / 14px 100% no-repeat scroll; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; overflow-wrap: normal; }
th, td { text-align: left; padding: 6px 12px; border-bottom: 1px solid var(--line);
  vertical-align: top; }
tr:last-child td { border-bottom: 0; } th { background: var(--panel); white-space: nowrap; }
td.n, th.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td.k { white-space: nowrap; } td.w { min-width: 16em; }
code, pre { font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
td code { font-size: 12.5px; overflow-wrap: normal; }
pre { margin: 0; padding: 12px 16px; overflow-x: auto; background: var(--panel); }
.badge { display: inline-block; border-radius: 99px; padding: 0 10px; font-size: .85rem;
  font-weight: 600; white-space: nowrap; background: var(--dullbg); color: var(--dull); }
.badge.good { background: var(--goodbg); color: var(--good); }
.badge.bad { background: var(--badbg); color: var(--bad); }
figure { margin: 16px 0 24px; }
figure img { display: block; max-width: min(100%, 880px); height: auto;
  background: #fff; border: 1px solid var(--line); border-radius: 8px; padding: 6px; }
figcaption { color: var(--soft); font-size: .9rem; margin-top: 6px; }
details { border: 1px solid var(--line); border-radius: 8px; margin: 8px 0; }
details > .box, details > pre { margin: 0; border-width: 1px 0 0; border-radius: 0; }
details > pre { border-top: 1px solid var(--line); } details > p { padding: 0 12px; }
summary { cursor: pointer; padding: 8px 12px; }
@media (max-width: 640px) { .stack thead { display: none; } .stack tr { display: block;
  padding: 8px 0; border-bottom: 1px solid var(--line); } .stack tr:last-child { border: 0; }
  .stack td { display: block; border: 0; padding: 2px 12px; white-space: normal;
  overflow-wrap: anywhere; } .stack td code { overflow-wrap: anywhere; } }
.drawn { padding: 12px; }
svg.plan { display: block; height: auto; }
svg.plan text { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  fill: var(--ink); } svg.plan .name { font-weight: 600; }
svg.plan .about { fill: var(--soft); }
svg.plan rect { fill: var(--panel); stroke: var(--line); stroke-width: 1.2; }
svg.plan .good rect { stroke: var(--good); } svg.plan .bad rect { stroke: var(--bad); }
svg.plan .dull rect { stroke-dasharray: 4 3; }
svg.plan .edge { fill: none; stroke: var(--soft); stroke-width: 1.2; opacity: .75; }
svg.plan .requires { stroke-dasharray: 4 4; }
"""

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="runner-report" content="$stamp">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>$title</title>
<style>$style</style>
</head>
<body><main>
<h1>$title</h1>
$lead
$facts
<nav>$links</nav>
$sections
</main></body>
</html>
""")
