"""Makes a Samba domain in the directory of the first argument, whose KDC will listen on the port of the second one.

Users alice and bob; accounts of services, each with its name of a service and what it may do for users:
  web    HTTP/www.samba.test     may act for anybody towards the database, trusted to say who has logged in
  front  HTTP/front.samba.test   may act towards the database for who has shown it a ticket
  db     postgres/db.samba.test  the database
  mail   imap/mail.samba.test    nobody may act towards it
front logs in by its service's name (as ktpass sets it up), the others by their accounts' names.
"""

import logging
import os
import sys

import ldb
import samba.param
from samba import dckeytab, dsdb  # dckeytab adds export_keytab to Net
from samba.auth import system_session
from samba.credentials import Credentials
from samba.net import Net
from samba.provision import provision
from samba.samdb import SamDB

NORMAL_ACCOUNT = 0x200
TRUSTED_TO_AUTHENTICATE_FOR_DELEGATION = 0x1000000
AES = 0x18
DATABASE = "postgres/db.samba.test"

directory, port = sys.argv[1:]
paths = {
    "private dir": "private", "state directory": "state", "cache directory": "cache", "lock directory": "lock",
    "pid directory": "run", "binddns dir": "bind", "ncalrpc dir": "ncalrpc", "log file": "log",
}
smb_conf = os.path.join(directory, "smb.conf")
with open(smb_conf, "w") as file:
    file.write(
        "[global]\nnetbios name = DC\nrealm = SAMBA.TEST\nworkgroup = SAMBA\n"
        "server role = active directory domain controller\nserver services = kdc\n"
        f"interfaces = 127.0.0.1\nbind interfaces only = yes\nkrb5 port = {port}\nkpasswd port = 0\n"
    )
    for option, path in paths.items():
        if path != "log":
            os.makedirs(os.path.join(directory, path), exist_ok=True)
        file.write(f"{option} = {directory}/{path}\n")
    file.write(f"[sysvol]\npath = {directory}/sysvol\n[netlogon]\npath = {directory}/sysvol/scripts\n")

lp = samba.param.LoadParm()
lp.load(smb_conf)
provision(
    logging.getLogger("provision"), system_session(), smbconf=smb_conf, lp=lp, realm="SAMBA.TEST", domain="SAMBA",
    hostname="dc", hostip="127.0.0.1", adminpass="An.Adm1nistrator", dns_backend="NONE",
    serverrole="active directory domain controller", base_schema="2008_R2",
    dom_for_fun_level=dsdb.DS_DOMAIN_FUNCTION_2008_R2, skip_sysvolacl=True, batch_mode=True,
)

database = SamDB(url=f"{directory}/private/sam.ldb", session_info=system_session(), lp=lp)


def account(name, **attributes):
    database.newuser(name, f"A.Passw0rd.of.{name}")
    message = ldb.Message(ldb.Dn(database, f"CN={name},CN=Users,{database.domain_dn()}"))
    for attribute, value in attributes.items():
        attribute = attribute.replace("_", "-")
        message[attribute] = ldb.MessageElement(str(value), ldb.FLAG_MOD_REPLACE, attribute)
    if attributes:
        database.modify(message)


def service(name, spn, **attributes):
    account(name, servicePrincipalName=spn, msDS_SupportedEncryptionTypes=AES, **attributes)


account("alice")
account("bob")
service(
    "web", "HTTP/www.samba.test", msDS_AllowedToDelegateTo=DATABASE,
    userAccountControl=NORMAL_ACCOUNT | TRUSTED_TO_AUTHENTICATE_FOR_DELEGATION,
)
service(
    "front", "HTTP/front.samba.test", msDS_AllowedToDelegateTo=DATABASE,
    userPrincipalName="HTTP/front.samba.test@SAMBA.TEST",
)
service("db", DATABASE)
service("mail", "imap/mail.samba.test")

net = Net(Credentials(), lp)
for principal in ("web", "HTTP/www.samba.test", "HTTP/front.samba.test", DATABASE, "imap/mail.samba.test"):
    net.export_keytab(keytab=f"{directory}/krb5.keytab", principal=f"{principal}@SAMBA.TEST")
