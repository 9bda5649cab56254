/** From a ticket to a machine that others call: `node tour.mjs TICKET [plain]`. */

import { enrol, Link } from "./client.mjs";

const [ticket, plain] = process.argv.slice(2);
const device = await enrol(ticket, "tour", { plain: plain === "plain" });
const link = await Link.open(device); // a program that stays keeps `device`, readable for nobody else
console.log(link.account, link.device, link.scopes);

console.log(await link.call("echo.upper", { text: "hello" }));
await link.call("echo.upper", { text: 5 }).catch((error) => console.log(error.code, error.message));
await link.call("echo.count", { to: 5 }).catch((error) => console.log(error.message));

for await (const number of link.stream("echo.count", { to: 1_000_000_000 })) {
  if (number === 100_000) break; // the server stops counting
}
const late = link.stream("echo.count", { to: 1_000_000_000 }, { timeout: 0.5 });
try {
  for await (const _ of late);
} catch (error) {
  console.log(error.code);
}

const { position } = await link.call("chat.post", { room: "lobby", text: "one", id: `tour-${Date.now()}` });
const { messages } = await link.call("chat.history", { room: "lobby", after: position - 1 });
console.log(messages.map(({ by, text }) => `${by}: ${text}`));
const heard = new Promise((resolve) => {
  link.on("event", (topic, at, message) => {
    console.log(topic, at - position, message.text);
    if (message.text === "two") resolve();
  });
});
await link.call("topics.subscribe", { topic: "room/lobby", after: position - 1 });
await link.call("chat.post", { room: "lobby", text: "two", id: `tour-${Date.now()}-2` });
await heard;

await link.offer({
  greet: ({ name }, origin) => `hello ${name}, from ${origin.slice(1, 3).join("/")}`,
  double: async function* (params, origin, input) {
    for await (const number of input) yield 2 * number;
  },
});
const other = await Link.open(device);
console.log(await other.call("tour/greet", { name: "Ada" }));
const doubled = [];
for await (const number of other.stream("tour/double", {}, { input: [1, 2, 3] })) doubled.push(number);
console.log(doubled);

other.close();
link.close();
