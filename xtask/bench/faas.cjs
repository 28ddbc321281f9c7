// The measured function on faas-js-runtime: `faas.cjs RUNTIME PORT`.
const { handle } = require("./handler.cjs");

const [runtime, port] = process.argv.slice(2);
require(runtime).start(handle, { port: Number(port), logLevel: "silent" });
