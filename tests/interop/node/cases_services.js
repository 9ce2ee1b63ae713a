'use strict';
// The client's cases of the standard services: health and reflection.

const assert = require('node:assert/strict');
const grpc = require('@grpc/grpc-js');
const { packages } = require('./protos');
const { Responses, options, unary, succeed, checkStatus } = require('./target');

const SERVICE = 'grpc.testing.TestService';
const UNKNOWN_SERVICE = 'no.such.Service';

async function healthCheck(target) {
  const stub = target.connect(packages.health.v1.Health);
  for (const service of ['', SERVICE]) {
    const { response } = await succeed(stub, 'Check', { service });
    assert.equal(response.status, 'SERVING', `state of "${service}"`);
  }
  checkStatus((await unary(stub, 'Check', { service: UNKNOWN_SERVICE })).error, grpc.status.NOT_FOUND);
}

async function healthWatch(target) {
  const stub = target.connect(packages.health.v1.Health);
  const control = target.connect(packages.testing.XdsUpdateHealthService);
  const checkNext = async (states, state) => {
    const response = await states.next();
    assert.equal(response && response.status, state, 'state');
  };
  const call = stub.Watch({ service: '' }, options());
  const states = new Responses(call);
  await checkNext(states, 'SERVING');
  await succeed(control, 'SetNotServing', {});
  await checkNext(states, 'NOT_SERVING');
  await succeed(control, 'SetServing', {});
  await checkNext(states, 'SERVING');
  call.cancel();
  const unknown = stub.Watch({ service: UNKNOWN_SERVICE }, options());
  await checkNext(new Responses(unknown), 'SERVICE_UNKNOWN');
  unknown.cancel();
}

async function checkReflection(target, { ServerReflection }) {
  const call = target.connect(ServerReflection).ServerReflectionInfo(options());
  const answers = new Responses(call);
  const ask = (request) => {
    call.write(request);
    return answers.next();
  };
  const listed = await ask({ list_services: '' });
  const names = listed.list_services_response.service.map(({ name }) => name);
  assert.ok(names.includes(SERVICE), `${SERVICE} is not listed, but ${names}`);
  const unknown = await ask({ file_containing_symbol: UNKNOWN_SERVICE });
  assert.equal(unknown.error_response && unknown.error_response.error_code, grpc.status.NOT_FOUND, 'unknown symbol');
  const found = await ask({ file_containing_symbol: SERVICE });
  const files = found.file_descriptor_response.file_descriptor_proto;
  // A name stands in an encoded file as it is.
  assert.ok(files.some((file) => file.includes('TestService') && file.includes('EmptyCall')), 'no file has TestService');
  call.end();
  checkStatus(await answers.end(), grpc.status.OK);
}

module.exports = {
  health_check: healthCheck,
  health_watch: healthWatch,
  reflection_v1: (target) => checkReflection(target, packages.reflection.v1),
  reflection_v1alpha: (target) => checkReflection(target, packages.reflection.v1alpha),
};
