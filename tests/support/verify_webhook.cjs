// Verifies a webhook with the JavaScript library: `node verify_webhook.cjs <node_modules> <JSON of secret, headers and body>`.
const [modules, given] = process.argv.slice(2);
const { Webhook } = require(`${modules}/standardwebhooks`);
const { secret, headers, body } = JSON.parse(given);
try {
  process.stdout.write(JSON.stringify(new Webhook(secret).verify(body, headers)));
} catch (problem) {
  process.stdout.write(problem.message);
  process.exitCode = 1;
}
