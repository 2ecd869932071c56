// src -> dist: names of scripts and styles get a hash of their content, so that browsers may keep them for ever.
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

const source = new URL("src/", import.meta.url).pathname;
const target = new URL("dist/", import.meta.url).pathname;

const names = (await readdir(source)).sort();
const texts = new Map();
for (const name of names) texts.set(name, await readFile(join(source, name), "utf8"));

// What refers to others is named after them: the page last.
const order = names.filter((name) => name !== "main.js" && name !== "index.html").concat("main.js", "index.html");
const renamed = new Map();
await rm(target, { recursive: true, force: true });
await mkdir(target);
for (const name of order) {
  let text = texts.get(name);
  if (text === undefined) throw new Error(`src/${name} is missing`);
  for (const [before, after] of renamed) text = text.replaceAll(`./${before}`, `./${after}`);
  const missing = text.match(/["']\.\/([\w.-]+)["']/g)?.find((reference) => ![...renamed.values()].includes(reference.slice(3, -1)));
  if (missing) throw new Error(`src/${name} refers to ${missing}, which is not there`);
  const hash = createHash("sha256").update(text).digest("hex").slice(0, 10);
  const final = name === "index.html" ? name : name.replace(/(\.\w+)$/, `-${hash}$1`);
  renamed.set(name, final);
  await writeFile(join(target, final), text);
}
console.log(`dist: ${[...renamed.values()].join(" ")}`);
