'use strict';
// The server: grpc.testing.TestService, health and reflection.

const fs = require('node:fs');
const { setTimeout: sleep } = require('node:timers/promises');
const grpc = require('@grpc/grpc-js');
const { HealthImplementation } = require('grpc-health-check');
const { ReflectionService } = require('@grpc/reflection');
const { definition, packages } = require('./protos');

// Left out: client_compressed_*, for this stack does not tell a server whether a message was compressed;
// server_compressed_*, for its servers never compress.
const CASES = [
  'empty_unary', 'large_unary', 'client_streaming', 'server_streaming', 'ping_pong', 'empty_stream',
  'timeout_on_sleeping_server', 'cancel_after_begin', 'cancel_after_first_response',
  'status_code_and_message', 'special_status_message', 'custom_metadata',
  'unimplemented_method', 'unimplemented_service', 'rpc_soak', 'channel_soak', 'concurrent_large_unary',
  'health_check', 'health_watch', 'reflection_v1', 'reflection_v1alpha',
];

function payload(size) {
  return { body: Buffer.alloc(size) };
}

// Sends the initial metadata that is asked for, and returns the trailing metadata.
function echoMetadata(call) {
  const echoed = (key) => {
    const metadata = new grpc.Metadata();
    call.metadata.get(key).forEach((value) => metadata.add(key, value));
    return metadata;
  };
  call.sendMetadata(echoed('x-grpc-test-echo-initial'));
  return echoed('x-grpc-test-echo-trailing-bin');
}

// The status that the request asks for; null if that is OK.
function askedStatus({ response_status: status }) {
  return status && status.code ? { code: status.code, details: status.message } : null;
}

async function sendResponses(call, request) {
  for (const { size, interval_us: interval } of request.response_parameters) {
    if (interval) await sleep(interval / 1000);
    call.write({ payload: payload(size) });
  }
}

async function streamingOutputCall(call) {
  const status = askedStatus(call.request);
  if (status) return call.emit('error', status);
  await sendResponses(call, call.request);
  return call.end();
}

function streamingInputCall(call, callback) {
  let total = 0;
  call.on('data', (request) => { total += request.payload ? request.payload.body.length : 0; });
  call.on('end', () => callback(null, { aggregated_payload_size: total }));
}

// Not with `for await`: that destroys the stream at the end of the requests, and the responses with it.
function fullDuplexCall(call) {
  const trailing = echoMetadata(call);
  let failed = false;
  const answer = async (request) => {
    if (failed) return;
    const status = askedStatus(request);
    failed = Boolean(status);
    if (failed) call.emit('error', status);
    else await sendResponses(call, request);
  };
  let answers = Promise.resolve();
  call.on('data', (request) => { answers = answers.then(() => answer(request)); });
  call.on('end', () => answers.then(() => failed || call.end(trailing)));
}

function halfDuplexCall(call) {
  const requests = [];
  call.on('data', (request) => requests.push(request));
  call.on('end', async () => {
    for (const request of requests) await sendResponses(call, request);
    call.end();
  });
}

const testService = {
  EmptyCall: (call, callback) => callback(null, {}),
  UnaryCall: (call, callback) => {
    const trailing = echoMetadata(call);
    callback(askedStatus(call.request), { payload: payload(call.request.response_size) }, trailing);
  },
  StreamingOutputCall: streamingOutputCall,
  StreamingInputCall: streamingInputCall,
  FullDuplexCall: fullDuplexCall,
  HalfDuplexCall: halfDuplexCall,
};

// Lets a client change what it watches.
function healthControl(health) {
  const set = (state) => (call, callback) => {
    health.setStatus('', state);
    callback(null, {});
  };
  return { SetServing: set('SERVING'), SetNotServing: set('NOT_SERVING') };
}

function makeServer() {
  const server = new grpc.Server();
  const health = new HealthImplementation({ '': 'SERVING', 'grpc.testing.TestService': 'SERVING' });
  server.addService(packages.testing.TestService.service, testService);
  server.addService(packages.testing.XdsUpdateHealthService.service, healthControl(health));
  health.addToServer(server);
  new ReflectionService(definition).addToServer(server);
  return server;
}

function credentials(tls) {
  if (!tls) return grpc.ServerCredentials.createInsecure();
  const pair = { cert_chain: fs.readFileSync(tls.certificate), private_key: fs.readFileSync(tls.key) };
  return grpc.ServerCredentials.createSsl(null, [pair]);
}

// Resolves with the exit code when the server has ended.
function run(tls) {
  const server = makeServer();
  return new Promise((resolve) => {
    process.once('SIGTERM', () => {
      server.forceShutdown();
      resolve(0);
    });
    server.bindAsync('127.0.0.1:0', credentials(tls), (error, port) => {
      if (error) {
        console.log(error.message);
        resolve(1);
      } else {
        console.log(`listening ${port}`);
      }
    });
  });
}

module.exports = { CASES, run };
