"""A certificate authority for the tests: openssl makes it, and what it signs."""

import subprocess


class Authority:
    """folder holds NAME.pem and NAME.key of everything issued, and ca.pem of this authority itself."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._openssl("req", "-x509", *self._key("ca"), "-out", "ca.pem", "-days", "2", "-subj",
                      "/CN=authority of %s" % folder.name, "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def _openssl(self, *arguments):
        subprocess.run(["openssl"] + list(arguments), check=True, cwd=self.folder, stdout=subprocess.DEVNULL,
                       stderr=subprocess.PIPE)

    @staticmethod
    def _key(name):
        return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", name + ".key"

    def __getitem__(self, file):
        return str(self.folder / file)

    def issue(self, name, subject, address=None, days=2, password=None):
        """A key pair for the subject (CN), good for an address ("IP:127.0.0.1", "DNS:x"). days < 0: it has expired.
        password: NAME.locked.key is the key, encrypted with it."""
        self._openssl("req", *self._key(name), "-out", name + ".csr", "-subj", "/CN=" + subject)
        (self.folder / (name + ".ext")).write_text("subjectAltName=%s\n" % address if address else "")
        self._openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out",
                      name + ".pem", "-days", str(days), "-extfile", name + ".ext")
        if password:
            self._openssl("pkcs8", "-topk8", "-in", name + ".key", "-out", name + ".locked.key", "-passout",
                          "pass:" + password, "-v2", "aes-256-cbc")
        # Certificate and key in one file, as Java takes it.
        (self.folder / (name + ".store.pem")).write_text(
            (self.folder / (name + ".key")).read_text() + (self.folder / (name + ".pem")).read_text())
        return self
