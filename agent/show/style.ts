/** The page's own style. Colours have a contrast of 4.5 and more on both grounds, and none says anything that words or shapes do not. */
export const STYLE = `
:root{color-scheme:light dark;--ground:#fbfaf7;--card:#fff;--ink:#1d2327;--soft:#5a646b;--line:#d9d6cd;--ok:#1b6e3c;--okbg:#e3f3e8;
--warn:#7a5200;--warnbg:#fbf0d2;--fail:#a31621;--failbg:#fce6e6;--unknown:#5b3a8c;--unknownbg:#efe8fa;--band:#7fb894;--copy:#3d6fb4}
@media(prefers-color-scheme:dark){:root{--ground:#15181a;--card:#1d2124;--ink:#e9eaea;--soft:#a9b2b7;--line:#363c40;--ok:#7fd6a0;
--okbg:#173524;--warn:#f0c465;--warnbg:#3a2e10;--fail:#ff9a9a;--failbg:#47191c;--unknown:#cdb3f5;--unknownbg:#31244a;--band:#3f7a55;--copy:#8fb8f0}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,-apple-system,Segoe UI,Roboto,sans-serif}
main,header,footer{max-width:72rem;margin:0 auto;padding:0 1rem}
header{padding-top:1.25rem}
h1{font-size:1rem;font-weight:600;margin:0 0 .5rem;color:var(--soft)}
h2{font-size:1.15rem;margin:2rem 0 .5rem}
p{margin:.4rem 0}
a{color:inherit}
code{font:0.92em ui-monospace,SFMono-Regular,Menlo,monospace;overflow-wrap:anywhere}
.verdict{display:flex;gap:1rem;align-items:center;padding:1rem 1.25rem;border-radius:.75rem;border:2px solid}
.verdict .mark{font-size:2.5rem;line-height:1;font-weight:700}
.verdict strong{display:block;font-size:1.35rem;line-height:1.3;overflow-wrap:anywhere}.verdict>span{min-width:0}
.OK{color:var(--ok);background:var(--okbg)}.WARN{color:var(--warn);background:var(--warnbg)}
.FAIL{color:var(--fail);background:var(--failbg)}.unknown{color:var(--unknown);background:var(--unknownbg)}
.soft,.when{color:var(--soft);font-size:.9rem}
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:.75rem;padding:.75rem;overflow:hidden}
figure+figure{margin-top:.75rem}
figcaption{font-size:.9rem;color:var(--soft)}
.band{display:block;width:100%;height:112px;overflow:visible}
.band text{fill:var(--soft);font-size:11px}
.band .name{fill:var(--ink);font-size:11px}
.band .tick{stroke:var(--line)}
.band .reach{fill:var(--band)}
.band .gap{fill:var(--fail)}
.proven{fill:var(--ok);stroke:var(--ok)}
.unproven{fill:var(--card);stroke:var(--ink);stroke-width:1.5}
.bad{fill:none;stroke:var(--fail);stroke-width:2.5}
.pin{fill:var(--warn)}
.copied{fill:var(--copy)}
.uncopied{fill:none;stroke:var(--fail);stroke-width:2}
.key{display:flex;flex-wrap:wrap;gap:.25rem 1.1rem;margin:.5rem 0 0;padding:0;list-style:none;font-size:.85rem;color:var(--soft)}
.key svg{width:18px;height:14px;vertical-align:-2px;margin-right:.3rem}
.lines{margin:0;padding:0;list-style:none;background:var(--card);border:1px solid var(--line);border-radius:.75rem}
.lines>li{display:grid;grid-template-columns:5.5rem 1fr;gap:.1rem .75rem;padding:.6rem .75rem;border-top:1px solid var(--line)}
.lines>li:first-child{border-top:0}
.level{align-self:start;text-align:center;border-radius:.4rem;font-size:.8rem;font-weight:700;padding:.15rem .3rem}
.lines b{margin-right:.4rem}.lines .figure{overflow-wrap:anywhere}
.said{grid-column:2;margin:.2rem 0;white-space:pre-line;overflow-wrap:anywhere}
.said.bad-news{color:var(--fail);font-weight:600}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:.75rem}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;padding:.45rem .7rem;border-top:1px solid var(--line);vertical-align:top}
thead th{border-top:0;color:var(--soft);font-weight:600;white-space:nowrap}
td.number{text-align:right;white-space:nowrap}
td.name,td.time{white-space:nowrap}
.tag{border-radius:.35rem;padding:.05rem .4rem;font-weight:600;font-size:.8rem;white-space:nowrap}
nav{margin:.6rem 0}nav a{margin-right:1rem}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(17rem,1fr));gap:.75rem}
.plots figure{margin:0}.plot{min-height:180px}
footer{padding:2rem 1rem;color:var(--soft);font-size:.9rem}
:focus-visible{outline:3px solid var(--copy);outline-offset:2px}
.away{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
@media(max-width:40rem){.band .odd{display:none}.verdict .mark{font-size:2rem}.verdict strong{font-size:1.15rem}.lines>li{grid-template-columns:4.6rem 1fr}
body{font-size:15px}}
@media(max-width:28rem){.band .even{display:none}}
@media print{body{background:#fff;color:#000}}
`;
