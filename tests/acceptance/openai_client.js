/** Calls a service with OpenAI's client and prints what came of it as JSON: node openai_client.js ADDRESS KEY MODEL */

import { createRequire } from "node:module";

const require = createRequire(new URL("../../extension/", import.meta.url));
const { OpenAI, toFile } = require("openai");

const [baseURL, apiKey, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 2, timeout: 50_000 });
const prompt = "a fox";

const image = await client.images.generate({ prompt, model });
const events = [];
const streaming = { prompt, model, stream: true, partial_images: 1 };
for await (const event of await client.images.generate(streaming)) events.push(event);
const partial = events.filter(({ type }) => type === "image_generation.partial_image").map((event) => event.b64_json);
const models = (await client.models.list()).data.map(({ id }) => id);
const errors = [];
for (const call of [
  () => client.images.generate({ prompt, model }),
  () => client.images.generate({ prompt: "", model }),
  async () => client.images.edit({ prompt, image: await toFile(Buffer.alloc(400_000), "fox.png") }),
]) {
  try {
    await call();
  } catch (error) {
    errors.push({ name: error.constructor.name, status: error.status, code: error.code });
  }
}
console.log(JSON.stringify({ url: image.data[0].url, streamed: events.at(-1).b64_json, partial, models, errors }));
