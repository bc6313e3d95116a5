/** Keeps a Node program on this machine: a connection to elsewhere fails; its host goes into the file LOOPBACK_ONLY. */
"use strict";
const { appendFileSync } = require("node:fs");
const net = require("node:net");

const HERE = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/;
const { connect } = net.Socket.prototype;

/** Whom `connect(options)`, `connect(port, host)` or, from inside Node, `connect([options])` is about. */
function hostOf([first, second]) {
  const options = Array.isArray(first) ? first[0] : first;
  if (options !== null && typeof options === "object") return options.path ? "localhost" : (options.host ?? "localhost");
  return typeof second === "string" ? second : "localhost";
}

net.Socket.prototype.connect = function (...given) {
  const host = hostOf(given);
  if (HERE.test(host)) return connect.apply(this, given);
  appendFileSync(process.env.LOOPBACK_ONLY, `${host}\n`);
  const error = Object.assign(new Error(`connect ENETUNREACH ${host}`), { code: "ENETUNREACH" });
  process.nextTick(() => this.destroy(error));
  return this;
};
