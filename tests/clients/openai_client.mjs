// OpenAI's own client for Node against a running server (see house.py for its models).
//
// In: POINTSMAN in the environment, and CLIENT_MODULES, the folder that `npm install` was run in. Out:
// a line per check; 1 at the first that fails. Needs openai and zod.

import { createRequire } from "node:module";
import { join } from "node:path";
import process from "node:process";

// The packages lie in a scratch folder, not beside this file.
const require = createRequire(join(process.env.CLIENT_MODULES ?? process.cwd(), "any.cjs"));
const { default: OpenAI } = require("openai");
const { zodResponseFormat } = require("openai/helpers/zod");
const { z } = require("zod");

const BASE = process.env.POINTSMAN ?? "http://127.0.0.1:8080";
const TIMEOUT_MS = 20_000;
const MODELS = ["openai-model", "anthropic-model", "gemini-model", "ollama-model", "bedrock-model"];
// What the simulator repeats of a tool's result.
const RESULT = "It is 21 degrees there.";
// A red point, as PNG.
const PICTURE =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC";

const client = new OpenAI({ baseURL: `${BASE}/v1`, apiKey: "any", maxRetries: 0, timeout: TIMEOUT_MS });
const Town = z.object({ name: z.string(), people: z.number().int(), rivers: z.array(z.string()) });
const city = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = ["warmth", "rain"].map((name) => ({
  type: "function",
  function: { name, description: `The ${name} of a city.`, parameters: city },
}));
const user = (content) => ({ role: "user", content });

function check(holds, what) {
  if (!holds) throw new Error(`FAILED: ${what}`);
  console.log(`ok: ${what}`);
}

async function fails(kind, what, act) {
  try {
    await act();
  } catch (error) {
    check(error instanceof kind, `${what}: ${error.constructor.name}`);
    return error;
  }
  throw new Error(`FAILED: ${what}: nothing was thrown`);
}

async function chat(model) {
  const messages = [{ role: "system", content: "You are a stationmaster." }, user("Say something.")];
  const answer = await client.chat.completions.create({ model, messages, max_completion_tokens: 200 });
  check(answer.choices[0].message.content && answer.choices[0].finish_reason === "stop", `${model}: chat`);
  check(answer.model === model && answer.usage.completion_tokens > 0, `${model}: who it is, and usage`);
}

async function stream(model) {
  const messages = [user("Say something.")];
  const wish = { model, messages, stream: true, stream_options: { include_usage: true } };
  let [text, usages, ends] = ["", 0, []];
  for await (const chunk of await client.chat.completions.create(wish)) {
    text += chunk.choices[0]?.delta?.content ?? "";
    usages += chunk.usage ? 1 : 0;
    if (chunk.choices[0]?.finish_reason) ends.push(chunk.choices[0].finish_reason);
  }
  check(text.length > 20 && usages === 1 && ends.join() === "stop", `${model}: stream`);
  const runner = client.chat.completions.stream({ model, messages });
  let pieces = "";
  runner.on("content", (piece) => { pieces += piece; });
  check((await runner.finalContent()) === pieces && pieces, `${model}: the SDK's own sum of a stream`);
}

async function calls(model) {
  const messages = [user("Ask warmth and rain of Oslo, in parallel.")];
  const runner = client.chat.completions.stream({ model, messages, tools });
  const message = await runner.finalMessage();
  const names = message.tool_calls.map((it) => it.function.name);
  check(names.join() === "warmth,rain", `${model}: two calls, streamed`);
  check(message.tool_calls.every((it) => JSON.parse(it.function.arguments).city), `${model}: with arguments`);
  messages.push(message);
  message.tool_calls.forEach((it, at) =>
    messages.push({ role: "tool", tool_call_id: it.id, content: `${RESULT} ${at}` }));
  const last = await client.chat.completions.create({ model, messages, tools });
  const told = last.choices[0].message.content;
  check(told.includes(`${RESULT} 0`) && told.includes(`${RESULT} 1`), `${model}: both results are heard`);
  const one = await client.chat.completions.create({ model, messages: [user("How warm is it?")], tools });
  check(one.choices[0].message.tool_calls.length === 1, `${model}: one call, whole`);
}

// The SDK's own loop: it calls our functions and asks again until there is text.
async function loop(model) {
  const heard = [];
  const functions = tools.map((it) => ({
    type: "function",
    function: {
      ...it.function,
      parse: JSON.parse,
      function: (given) => { heard.push(given.city); return RESULT; },
    },
  }));
  const messages = [user("How warm is it in Oslo?")];
  const told = await client.chat.completions.runTools({ model, messages, tools: functions }).finalContent();
  check(heard.length === 1 && told.includes(RESULT), `${model}: runTools`);
}

async function schema(model) {
  const wish = { model, messages: [user("Name a town.")], response_format: zodResponseFormat(Town, "town") };
  const answer = await client.chat.completions.parse(wish);
  check(Town.safeParse(answer.choices[0].message.parsed).success, `${model}: parse gives a Town`);
  const final = await client.chat.completions.stream(wish).finalChatCompletion();
  check(Town.safeParse(final.choices[0].message.parsed).success, `${model}: and out of a stream`);
}

async function vision(model) {
  const image = { type: "image_url", image_url: { url: `data:image/png;base64,${PICTURE}` } };
  const messages = [user([{ type: "text", text: "What is this?" }, image])];
  const answer = await client.chat.completions.create({ model, messages });
  // The simulator counts 85 tokens for an image.
  check(answer.usage.prompt_tokens > 80, `${model}: an image is looked at`);
}

async function errors() {
  const messages = [user("Say something.")];
  const create = (more) => client.chat.completions.create({ model: "auto", messages, ...more });
  const unknown = await fails(OpenAI.NotFoundError, "no such model", () => create({ model: "opnai-model" }));
  check(unknown.code === "model_not_found" && unknown.param === "model", "with its code and param");
  const bad = await fails(OpenAI.BadRequestError, "a bad request", () => create({ temperature: 9 }));
  check(bad.message.includes("temperature"), "with its field");
  for (const stream of [false, true]) {
    const models = ["down-a", "down-b"];
    const down = await fails(OpenAI.InternalServerError, "all are down", () => create({ models, stream }));
    check(down.status === 503 && down.message.includes("down-b"), `with 503, and who failed (${stream})`);
  }
}

async function retries() {
  const messages = [user("Say something.")];
  const ask = (model, options) => client.chat.completions.create({ model, messages }, options);
  await fails(OpenAI.InternalServerError, "a model that is away for a while", () => ask("flaky-1"));
  const answer = await ask("flaky-2", { maxRetries: 2 });
  check(answer.choices[0].message.content, "the SDK's own retry gets its answer");
  await fails(OpenAI.APIError, "what cannot mend is not tried again", () => ask("locked", { maxRetries: 2 }));
}

async function others() {
  const listed = [];
  for await (const model of client.models.list()) listed.push(model.id);
  check(MODELS.every((it) => listed.includes(it)) && listed.includes("auto"), `${listed.length} models`);
  const { data, response } = await client.chat.completions
    .create({ model: "auto", messages: [user("Hi.")], pointsman: { budget: { max_cost_usd: 0.05 } } })
    .withResponse();
  check(response.headers.get("x-pointsman-model") === data.model, `auto: ${data.model} answers`);
  const answer = await client.responses.create({ model: "auto", input: "Say something." });
  check(answer.output_text, "responses");
  let text = "";
  for await (const event of await client.responses.create({ model: "auto", input: "Hi.", stream: true })) {
    if (event.type === "response.output_text.delta") text += event.delta;
  }
  check(text, "responses, streamed");
  const left = await client.chat.completions.create({ model: "auto", messages: [user("Hi.")], stream: true });
  for await (const _ of left) break;
  const after = await client.chat.completions.create({ model: "auto", messages: [user("Hi.")] });
  check(after.id, "after one that was left");
}

try {
  for (const model of MODELS) {
    for (const part of [chat, stream, calls, loop, schema, vision]) await part(model);
  }
  await errors();
  await retries();
  await others();
} catch (error) {
  console.error(error);
  process.exitCode = 1;
}
