# A client and a server in one process, by python3-gssapi: what is printed is the same on every library.
import gssapi
from gssapi import raw
from gssapi.raw import IOVBufferType

Flag = gssapi.RequirementFlag
target = gssapi.Name("e18@localhost", gssapi.NameType.hostbased_service)
print(target, target.canonicalize(gssapi.MechType.kerberos))
for mechanism in [gssapi.MechType.kerberos, gssapi.OID.from_int_seq("1.3.6.1.5.5.2")]:
    assert mechanism in raw.indicate_mechs()
    mine = gssapi.Credentials(usage="initiate")
    print(mine.name, mine.lifetime > 0, mechanism in mine.mechs)
    flags = Flag.mutual_authentication | Flag.integrity | Flag.confidentiality | Flag.delegate_to_peer
    client = gssapi.SecurityContext(name=target, creds=mine, usage="initiate", flags=flags, mech=mechanism)
    server = gssapi.SecurityContext(creds=gssapi.Credentials(usage="accept"), usage="accept")
    token = client.step()
    while token:
        token = server.step(token)
        token = client.step(token) if token and not client.complete else None
    print(client.complete, server.complete, server.initiator_name, server.target_name, server.delegated_creds.name)
    print(server.unwrap(client.wrap(b"what is said", True).message))
    client.verify_signature(b"text", server.get_signature(b"text"))
    try:
        client.verify_signature(b"another", server.get_signature(b"text"))
    except gssapi.exceptions.BadMICError as error:
        print(type(error).__name__)
    buffers = raw.IOV(IOVBufferType.header, b"data", IOVBufferType.padding, IOVBufferType.trailer, std_layout=False)
    raw.wrap_iov(client, buffers, True)
    whole = b"".join(buffer.value or b"" for buffer in buffers)
    print(server.unwrap(whole).message)
    token = server.export()
    looked_at = gssapi.SecurityContext(token=token)
    print(looked_at.initiator_name, looked_at.locally_initiated)
    del looked_at
    moved = gssapi.SecurityContext(token=token)
    print(moved.initiator_name, moved.unwrap(client.wrap(b"again", True).message))
    print(gssapi.Credentials(token=mine.export()).name)
store = {"ccache": "MEMORY:another"}
raw.store_cred_into({b"ccache": b"MEMORY:another"}, mine, usage="initiate", overwrite=True)
print(gssapi.Credentials(usage="initiate", store=store).name)
try:
    gssapi.Credentials(usage="initiate", store={"ccache": "FILE:/nonexistent/tickets"})
except gssapi.exceptions.GSSError as error:
    print(type(error).__name__)
name = gssapi.Name("alice@INTEROP.TEST", gssapi.NameType.kerberos_principal).canonicalize(gssapi.MechType.kerberos)
print(name.export(), name == gssapi.Name("alice").canonicalize(gssapi.MechType.kerberos))
