import org.ietf.jgss.GSSContext;
import org.ietf.jgss.GSSCredential;
import org.ietf.jgss.GSSException;
import org.ietf.jgss.GSSManager;
import org.ietf.jgss.GSSName;
import org.ietf.jgss.MessageProp;
import org.ietf.jgss.Oid;

/** A client and a server in one process, by the JDK over the system's library: what is printed is the same on every library. */
public class Contexts {
    private static final byte[] TEXT = "what is said".getBytes();

    private static String said(GSSContext from, GSSContext to) throws GSSException {
        byte[] token = from.wrap(TEXT, 0, TEXT.length, new MessageProp(true));
        MessageProp found = new MessageProp(false);
        return new String(to.unwrap(token, 0, token.length, found)) + " " + found.getPrivacy();
    }

    public static void main(String[] arguments) throws GSSException {
        GSSManager manager = GSSManager.getInstance();
        for (String mechanism : new String[] {"1.2.840.113554.1.2.2", "1.3.6.1.5.5.2"}) {
            Oid oid = new Oid(mechanism);
            GSSName target = manager.createName("e18@localhost", GSSName.NT_HOSTBASED_SERVICE);
            GSSCredential mine = manager.createCredential(null, GSSCredential.DEFAULT_LIFETIME, oid, GSSCredential.INITIATE_ONLY);
            GSSContext client = manager.createContext(target, oid, mine, GSSContext.DEFAULT_LIFETIME);
            GSSContext server = manager.createContext((GSSCredential) null);
            client.requestMutualAuth(true);
            client.requestCredDeleg(true);
            byte[] token = new byte[0];
            while (token != null && !(client.isEstablished() && server.isEstablished())) {
                token = client.initSecContext(token, 0, token.length);
                if (token != null && !server.isEstablished()) {
                    token = server.acceptSecContext(token, 0, token.length);
                }
            }
            System.out.println(mine.getName() + " " + server.getSrcName() + " " + server.getTargName());
            System.out.println(server.getDelegCred().getName() + " " + (client.getLifetime() > 0));
            System.out.println(said(client, server) + " " + said(server, client));
            byte[] mic = server.getMIC(TEXT, 0, TEXT.length, new MessageProp(false));
            client.verifyMIC(mic, 0, mic.length, TEXT, 0, TEXT.length, new MessageProp(false));
            System.out.println(client.getWrapSizeLimit(0, true, 1000));
            byte[] exported = server.export();
            GSSContext moved = manager.createContext(exported);
            System.out.println(moved.getMech() + " " + moved.getSrcName() + " " + said(client, moved));
            moved.dispose();
            client.dispose();
        }
    }
}
