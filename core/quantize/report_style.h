// The report's one style sheet: light by default and on paper, dark where the reader's screen is.
// In: nothing. Out: CSS. Classes: s0 … s8 little to much, d0 … d8 better to worse than rounding, p0 … p6 parts of a
// file. In the dark, much is bright: what stands out stays the same.
#pragma once

namespace gq {

inline constexpr char report_style[] = R"css(
:root{color-scheme:light dark;--page:#fbfbfa;--card:#fff;--ink:#16181b;--soft:#5d6169;--line:#e3e3e0;
--s0:#e9f1fb;--s1:#cfe2f8;--s2:#b1d0f3;--s3:#8ebaec;--s4:#6aa2e2;--s5:#4688d3;--s6:#2e6fbb;--s7:#1d5699;--s8:#103e75;
--lo:#16181b;--hi:#fff;
--d0:#103e75;--d1:#2260a8;--d2:#4688d3;--d3:#7fb0e8;--d4:#b1d0f3;--d5:#dbe9f9;--d6:#e8e8e4;--d7:#f2aca6;--d8:#cc3b39;
--p0:#2a78d6;--p1:#1baf7a;--p2:#eda100;--p3:#6a4bc4;--p4:#e0609a;--p5:#e2703a;--p6:#8a8f98;--reached:#2a78d6;--rounding:#c2661c}
@media screen and (prefers-color-scheme:dark){:root{--page:#141517;--card:#1c1e21;--ink:#eceef0;--soft:#a2a7af;--line:#34373c;
--s0:#1d2b3d;--s1:#203a59;--s2:#244b77;--s3:#2a5d96;--s4:#3572b4;--s5:#4a8acd;--s6:#6ba4de;--s7:#96c0eb;--s8:#c8def6;
--lo:#fff;--hi:#101214;
--d0:#c8def6;--d1:#96c0eb;--d2:#6ba4de;--d3:#4a8acd;--d4:#2f67a3;--d5:#26456a;--d6:#3b3d40;--d7:#8f4441;--d8:#ee6f69;
--p0:#3987e5;--p1:#199e70;--p2:#c98500;--p3:#9085e9;--p4:#d55181;--p5:#d95926;--p6:#858b94;--reached:#5a9ff0;--rounding:#e08a45}}
*{box-sizing:border-box}
body{margin:0 auto;padding:24px 20px 48px;max-width:1000px;background:var(--page);color:var(--ink);
font:14px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;overflow-wrap:anywhere}
h1{font-size:24px;margin:0}h2{font-size:18px;margin:36px 0 10px}h3{font-size:15px;margin:0}
p{margin:2px 0 8px}.soft,figcaption p{color:var(--soft)}
.note{border-left:3px solid var(--p2);padding:4px 10px}
.tiles{display:flex;flex-wrap:wrap;gap:10px;margin:18px 0}
.tile{flex:1 1 130px;background:var(--card);border:1px solid var(--line);border-radius:8px;padding:10px 12px}
.tile b{display:block;font-size:22px;font-weight:600}.tile span{color:var(--soft);font-size:12px}
figure{margin:0 0 22px;break-inside:avoid}svg{display:block;max-width:100%;height:auto;margin:4px 0}
text{font-size:12px;fill:var(--soft)}.right{text-anchor:end}.middle,.on{text-anchor:middle}.on{font-weight:600;font-size:11px;pointer-events:none}
.grid{stroke:var(--line)}.line{fill:none!important;stroke-width:2}
.keys{font-size:12px;color:var(--soft)}.key{white-space:nowrap;margin-right:14px}
.key i,.ramp i{display:inline-block;width:22px;height:10px;border-radius:2px}.key i{margin-right:5px}.ramp{white-space:nowrap}.ramp i+i{margin-left:1px}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:13px;font-variant-numeric:tabular-nums}
th,td{padding:3px 8px;text-align:right;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:normal}
thead th{color:var(--soft);font-weight:500;vertical-align:bottom}th{font-weight:500}tr{break-inside:avoid}
tbody th,th:first-child,td.w,th.w{text-align:left}td.w{overflow-wrap:anywhere}td{white-space:nowrap}td.w{white-space:normal;min-width:11em}
tr.sum td,tr.sum th{font-weight:600}
.plain{width:auto}.small{font-size:12px}
.s0{fill:var(--s0);background:var(--s0)}.s1{fill:var(--s1);background:var(--s1)}.s2{fill:var(--s2);background:var(--s2)}.s3{fill:var(--s3);background:var(--s3)}
.s4{fill:var(--s4);background:var(--s4)}.s5{fill:var(--s5);background:var(--s5)}.s6{fill:var(--s6);background:var(--s6)}
.s7{fill:var(--s7);background:var(--s7)}.s8{fill:var(--s8);background:var(--s8)}.d0{fill:var(--d0);background:var(--d0)}
.d1{fill:var(--d1);background:var(--d1)}.d2{fill:var(--d2);background:var(--d2)}.d3{fill:var(--d3);background:var(--d3)}
.d4{fill:var(--d4);background:var(--d4)}.d5{fill:var(--d5);background:var(--d5)}.d6{fill:var(--d6);background:var(--d6)}
.d7{fill:var(--d7);background:var(--d7)}.d8{fill:var(--d8);background:var(--d8)}.p0{fill:var(--p0);background:var(--p0)}.p1{fill:var(--p1);background:var(--p1)}
.p2{fill:var(--p2);background:var(--p2)}.p3{fill:var(--p3);background:var(--p3)}.p4{fill:var(--p4);background:var(--p4)}
.p5{fill:var(--p5);background:var(--p5)}.p6{fill:var(--p6);background:var(--p6)}.reached{fill:var(--reached);background:var(--reached);stroke:var(--reached)}.rounding{fill:var(--rounding);background:var(--rounding);stroke:var(--rounding)}
.on.s0,.on.s1,.on.s2,.on.s3,.on.s4{fill:var(--lo);background:none}
.on.s5,.on.s6,.on.s7,.on.s8{fill:var(--hi);background:none}
@media print{:root{--page:#fff}body{max-width:none;padding:0;font-size:11px}table,.small{font-size:8.5px}th,td{padding:1px 4px}td.w{min-width:7em}
.scroll{overflow:visible}h2{break-after:avoid}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
@page{margin:14mm}
)css";

}  // namespace gq
