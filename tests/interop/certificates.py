"""Certificates that live as long as a test run: a server's, the authority that signed it, and one that did not."""

import os
import subprocess
from dataclasses import dataclass


@dataclass
class Certificates:
    authority: str
    other_authority: str
    certificate: str
    key: str
    name: str  # the only one that the certificate is for: clients reach the server by its address


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)


def new_key():
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


def make_authority(folder, name):
    key, certificate = (os.path.join(folder, name + suffix) for suffix in (".key", ".crt"))
    openssl("req", "-x509", *new_key(), "-keyout", key, "-out", certificate, "-days", "2", "-subj", f"/CN={name}")
    return key, certificate


def make(folder, name="interop.test"):
    authority_key, authority = make_authority(folder, "authority")
    _, other_authority = make_authority(folder, "other")
    key, request, certificate, extensions = (os.path.join(folder, "server" + s) for s in (".key", ".csr", ".crt", ".ext"))
    with open(extensions, "w") as file:
        file.write(f"subjectAltName=DNS:{name}\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n")
    openssl("req", "-new", *new_key(), "-keyout", key, "-out", request, "-subj", f"/CN={name}")
    signed_by = ["-CA", authority, "-CAkey", authority_key, "-CAcreateserial"]
    openssl("x509", "-req", "-in", request, *signed_by, "-out", certificate, "-days", "2", "-extfile", extensions)
    return Certificates(authority, other_authority, certificate, key, name)
