// Node's fetch (undici): `node fetch.mjs JSON` with {method, url, headers, size, stream}; prints {status, headers, size, sha256, text}.
import { createHash } from "node:crypto";

const ask = JSON.parse(process.argv[2]);
const block = Buffer.from(Array.from({ length: 256 * 64 }, (_, at) => at % 256));
const body = ask.size ? Buffer.concat(Array(Math.ceil(ask.size / block.length)).fill(block)).subarray(0, ask.size) : undefined;
const pieces = async function* () {
  for (let at = 0; at < body.length; at += 70000) yield body.subarray(at, at + 70000);
};
const init = { method: ask.method, headers: ask.headers, redirect: "manual" };
if (body) Object.assign(init, ask.stream ? { body: pieces(), duplex: "half" } : { body });
const answer = await fetch(ask.url, init);
const got = Buffer.from(await answer.arrayBuffer());
const sha256 = createHash("sha256").update(got).digest("hex");
const text = got.length < 65536 ? got.toString() : "";
console.log(JSON.stringify({ status: answer.status, headers: Object.fromEntries(answer.headers), size: got.length, sha256, text }));
