'use strict';
// The server under test, and what the cases need to call it and to judge its answers.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const grpc = require('@grpc/grpc-js');
const { packages } = require('./protos');

const DEADLINE_MS = 60000;
const LARGE_REQUEST = 271828;
const LARGE_RESPONSE = 314159;

class Target {
  constructor(address, ca, name) {
    this.address = address;
    this.credentials = ca ? grpc.credentials.createSsl(fs.readFileSync(ca)) : grpc.credentials.createInsecure();
    // Otherwise channels of the same address share a connection.
    this.options = { 'grpc.use_local_subchannel_pool': 1 };
    if (name) this.options['grpc.ssl_target_name_override'] = name;
    this.clients = [];
    this.stub = this.connect();
  }

  // A client on a channel of its own.
  connect(Client = packages.testing.TestService, options = {}) {
    const client = new Client(this.address, this.credentials, { ...this.options, ...options });
    this.clients.push(client);
    return client;
  }

  close() {
    this.clients.forEach((client) => client.close());
  }
}

function options(milliseconds = DEADLINE_MS) {
  return { deadline: Date.now() + milliseconds };
}

// A call with one response: resolves with {response, error, initial, trailing}.
function unary(stub, method, request, metadata = new grpc.Metadata()) {
  return new Promise((resolve) => {
    const outcome = {};
    const call = stub[method](request, metadata, options(), (error, response) => Object.assign(outcome, { error, response }));
    call.on('metadata', (initial) => { outcome.initial = initial; });
    call.on('status', (status) => resolve({ ...outcome, trailing: status.metadata }));
  });
}

// The same, where it has to succeed.
async function succeed(...args) {
  const outcome = await unary(...args);
  if (outcome.error) throw outcome.error;
  return outcome;
}

// The responses of a stream, one by one, and how it ended.
class Responses {
  constructor(call) {
    this.call = call;
    this.responses = [];
    this.wake = () => {};
    call.on('data', (response) => this.add(() => this.responses.push(response)));
    call.on('metadata', (initial) => { this.initial = initial; });
    call.on('error', () => {}); // 'status' tells it too
    call.on('status', (status) => this.add(() => { this.status = status; }));
  }

  add(change) {
    change();
    this.wake();
  }

  async until(condition) {
    while (!condition()) await new Promise((resolve) => { this.wake = resolve; });
  }

  // The next response; undefined at the end.
  async next() {
    await this.until(() => this.responses.length || this.status);
    return this.responses.shift();
  }

  // The status, after exactly these responses.
  async end(sizes = []) {
    for (const size of sizes) checkPayload(await this.next(), size);
    await this.until(() => this.status);
    assert.equal(this.responses.length, 0, 'there are more responses than were asked for');
    return this.status;
  }
}

function payload(size) {
  return { body: Buffer.alloc(size) };
}

function checkPayload(response, size) {
  assert.ok(response, `no response, instead of one of ${size} bytes`);
  assert.equal(response.payload.body.length, size, 'size of the response');
  assert.ok(response.payload.body.equals(Buffer.alloc(size)), 'the response is not all zeros');
}

function checkStatus(status, code, details) {
  assert.ok(status, `OK instead of ${grpc.status[code]}`);
  assert.equal(grpc.status[status.code], grpc.status[code], `status, which says: ${status.details}`);
  if (details !== undefined) assert.equal(status.details, details, 'status message');
}

function largeRequest(more) {
  return { response_size: LARGE_RESPONSE, payload: payload(LARGE_REQUEST), ...more };
}

async function callLarge(stub, more) {
  const { response } = await succeed(stub, 'UnaryCall', largeRequest(more));
  checkPayload(response, LARGE_RESPONSE);
}

module.exports = {
  LARGE_REQUEST, LARGE_RESPONSE, Target, Responses, options, unary, succeed, payload, largeRequest, callLarge,
  checkPayload, checkStatus,
};
