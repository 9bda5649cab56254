import os
import ssl
import stat
import threading

import pytest
from cryptography import x509

from tieline.errors import ConfigError
from tieline.transports.certificate import FILE_NAME, ServerCertificate, load, load_or_make, make_certificate
from tieline.transports.tls import HTTP, NATIVE, client_context, end_point, pin_of


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str = "localhost"):
    """Both ends in memory; returns (server's, client's) SSLObject after the handshake."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        server.wrap_bio(to_server, to_client, server_side=True),
        client.wrap_bio(to_client, to_server, server_hostname=name),
    )
    for _ in range(4):
        for end in reversed(ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                pass
    return ends


@pytest.fixture(scope="module")
def certificate():
    return ServerCertificate(*make_certificate(["lab.example", "10.0.0.7", "bücher.example"]))


def test_the_certificate_is_good_for_the_names_given_and_for_localhost(certificate):
    made = x509.load_der_x509_certificate(certificate.der)
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    hosts = ["localhost", "lab.example", "xn--bcher-kva.example"]
    assert sorted(names.get_values_for_type(x509.DNSName)) == sorted(hosts)
    assert "10.0.0.7" in [str(ip) for ip in names.get_values_for_type(x509.IPAddress)]
    assert made.not_valid_after_utc.year - made.not_valid_before_utc.year >= 19


def test_client_and_server_agree_on_pin_binding_and_protocol(certificate):
    server, client = handshake(certificate.context(), client_context(certificate.pin))
    seen = client.getpeercert(True)
    assert pin_of(seen) == certificate.pin
    assert end_point(seen) == certificate.end_point
    assert (server.version(), server.selected_alpn_protocol()) == ("TLSv1.3", NATIVE)


def test_a_browser_gets_http_and_a_caller_without_a_wish_gets_no_protocol(certificate):
    browser = client_context(certificate.pin, alpn=["h2", HTTP])
    assert handshake(certificate.context(), browser)[0].selected_alpn_protocol() == HTTP
    person = client_context(certificate.pin, alpn=[])
    assert handshake(certificate.context(), person)[0].selected_alpn_protocol() is None


def test_without_a_pin_the_authorities_decide(certificate):
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(certificate.context(), client_context())
    trusting = client_context()
    trusting.load_verify_locations(cadata=certificate.certificate.decode())
    assert handshake(certificate.context(), trusting)[1].version() == "TLSv1.3"


def test_tls_1_2_is_not_spoken(certificate):
    old = client_context(certificate.pin)
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        handshake(certificate.context(), old)


def test_the_certificate_is_made_once_and_then_kept_private(tmp_path):
    first = load_or_make(tmp_path / "data", lambda: ["lab"])
    assert load_or_make(tmp_path / "data", pytest.fail).pin == first.pin
    assert stat.S_IMODE(os.stat(tmp_path / "data" / FILE_NAME).st_mode) == 0o600
    assert os.listdir(tmp_path / "data") == [FILE_NAME]
    assert first.context()


def test_servers_that_start_at_once_end_up_with_one_certificate(tmp_path):
    pins = []
    threads = [threading.Thread(target=lambda: pins.append(load_or_make(tmp_path, list).pin)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pins) == 8
    assert len(set(pins)) == 1


def test_a_key_that_others_can_read_is_refused(tmp_path):
    load_or_make(tmp_path, list)
    os.chmod(tmp_path / FILE_NAME, 0o644)
    with pytest.raises(ConfigError, match="others can read the key"):
        load_or_make(tmp_path, list)


def test_the_owners_own_certificate_is_loaded_from_two_files(tmp_path, certificate):
    (tmp_path / "cert.pem").write_bytes(certificate.certificate)
    (tmp_path / "key.pem").write_bytes(certificate.key)
    assert load(tmp_path / "cert.pem", tmp_path / "key.pem").pin == certificate.pin


def test_what_is_wrong_with_certificate_files_is_told(tmp_path, certificate):
    with pytest.raises(ConfigError, match=r"cannot read .*missing\.pem"):
        load(tmp_path / "missing.pem")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_bytes(certificate.certificate)
    with pytest.raises(ConfigError, match="holds no private key"):
        load(cert)
    with pytest.raises(ConfigError, match=r"cert\.pem holds no private key in PEM"):
        load(cert, cert)
    for other in (make_certificate([])[1], rsa_key()):
        key.write_bytes(other)
        with pytest.raises(ConfigError, match="the key is not that of the first certificate"):
            load(cert, key)
    with pytest.raises(ConfigError, match=r"key\.pem holds no certificate in PEM"):
        load(key, cert)
    (tmp_path / "cert.der").write_bytes(certificate.der)
    with pytest.raises(ConfigError, match=r"cert\.der holds no certificate in PEM"):
        load(tmp_path / "cert.der", key)


def rsa_key():
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())


@pytest.mark.parametrize("name", ["a" * 64, "weird host_name", "bücher.example", "a..b", "ü" * 64])
def test_whatever_a_machine_is_called_it_gets_a_certificate(name):
    assert ServerCertificate(*make_certificate([name])).context()


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_a_password(tmp_path, certificate):
    from cryptography.hazmat.primitives import serialization as form

    key = form.load_pem_private_key(certificate.key, None)
    secret = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.BestAvailableEncryption(b"x"))
    (tmp_path / "both.pem").write_bytes(certificate.certificate + secret)
    with pytest.raises(ConfigError, match="encrypted"):
        load(tmp_path / "both.pem")


def test_the_private_key_is_not_in_the_repr(certificate):
    assert repr(certificate) == f"<ServerCertificate pin={certificate.pin}>"


def test_it_says_which_names_it_is_for() -> None:
    made = ServerCertificate(*make_certificate(["Box.Lan", "10.0.0.7", "*.lab.example"]))
    assert made.names == ["localhost", "box.lan", "*.lab.example"]
