/** The page's style. It stands in the page, which may use nothing else: its hash is in the page's policy. */
export const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 62rem; padding: 1rem; overflow-wrap: anywhere; }
h1 small { font-size: 1rem; font-weight: normal; opacity: .75; }
h2 { font-size: 1.15rem; margin: 2rem 0 .25rem; }
h3 { font-size: 1rem; margin: 1rem 0 .25rem; }
nav { columns: 18rem; column-gap: 2rem; border-block: 1px solid; padding-block: .5rem; }
nav section { break-inside: avoid; }
nav h2 { margin: .5rem 0 0; }
nav ul { list-style: none; margin: 0; padding: 0; }
nav a:has(.path) { text-decoration: none; }
.path { text-decoration: underline; }
code { font: .9em ui-monospace, monospace; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { border-top: 1px solid color-mix(in srgb, currentcolor 25%, transparent); padding: .25rem .75rem .25rem 0; text-align: left; vertical-align: top; }
thead th { font-weight: 600; }
tbody th { font-weight: normal; white-space: nowrap; }
.method { display: inline-block; min-width: 4.2em; font: 600 .75rem ui-monospace, monospace; }
:target { outline: 2px solid; outline-offset: .5rem; }
`;
