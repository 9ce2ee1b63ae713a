'use strict';
// The services, read from Debian's grpc-proto as they are.

const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const files = [
  'grpc/testing/test.proto',
  'grpc/health/v1/health.proto',
  'grpc/reflection/v1/reflection.proto',
  'grpc/reflection/v1alpha/reflection.proto',
];
const definition = loader.loadSync(files, {
  includeDirs: [process.env.INTEROP_PROTO || '/usr/share/grpc-proto'],
  keepCase: true,
  enums: String,
  defaults: true,
  oneofs: true,
});

module.exports = { definition, packages: grpc.loadPackageDefinition(definition).grpc };
