// Runs Azurite's table service: node table.js FOLDER_OF_THE_AZURITE_PACKAGE [Azurite's own options].
//
// Azurite's own entry point does the work. Four things are added that it lacks (seen in 3.37.0):
// - the port that was really opened is printed: for port 0 Azurite itself prints "0";
// - SIGTERM saves what was written, as SIGINT does. Without this, it ends the table service at once and loses the
//   writes of up to five seconds;
// - the end of standard input does the same. So the service ends with whoever started it, however that one ended,
//   and can be stopped gently on Windows, where there is no SIGTERM;
// - TABLE_KEEP_ALIVE, in the environment, is how many seconds idle connections stay open. Azurite's own option for
//   that, --tableKeepAliveTimeout, does nothing, for a slip in its spelling.
// It never writes to the disk itself and opens no port of its own.
"use strict";

const { subscribe } = require("node:diagnostics_channel");
const { join } = require("node:path");

const [azurite] = process.argv.splice(2, 1);

subscribe("tracing:net.server.listen:asyncEnd", ({ server }) => {
  const { address, port } = server.address();
  const seconds = Number(process.env.TABLE_KEEP_ALIVE);
  if (seconds > 0) server.keepAliveTimeout = 1000 * seconds;
  console.log(`table service listening on http://${address}:${port}`);
});

let stopping = false;

function stop() {
  if (stopping) return; // asked in two ways at once; to leave now would cut off the saving
  stopping = true;
  // Azurite listens for SIGINT once it has started; before that there is nothing to save.
  if (process.listenerCount("SIGINT") === 0) process.exit(0);
  process.emit("SIGINT");
}

process.on("SIGTERM", stop);
process.stdin.on("end", stop).on("error", stop).resume();
process.stdin.unref?.(); // reading it must not keep the process alive

require(join(azurite, "dist", "src", "table", "main.js"));
