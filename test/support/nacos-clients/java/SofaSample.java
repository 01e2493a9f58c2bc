import com.alipay.sofa.rpc.config.ApplicationConfig;
import com.alipay.sofa.rpc.config.ProviderConfig;
import com.alipay.sofa.rpc.config.RegistryConfig;
import com.alipay.sofa.rpc.config.ServerConfig;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;

/** An ordinary SOFARPC provider: ADDRESS HOST PORT; ADDRESS is that of a ZooKeeper. Driven by lines as protocol.md says: "ready" is answered when it has started. */
public class SofaSample {

    public interface Greeter {
        String greet(String name);
    }

    public static class GreeterImpl implements Greeter {
        @Override
        public String greet(String name) {
            return "hello " + name;
        }
    }

    public static void main(String[] args) throws Exception {
        RegistryConfig registry = new RegistryConfig().setProtocol("zookeeper").setAddress(args[0]);
        ServerConfig server = new ServerConfig().setProtocol("bolt").setHost(args[1]).setPort(Integer.parseInt(args[2]));
        new ProviderConfig<Greeter>()
            .setApplication(new ApplicationConfig().setAppName("greeter"))
            .setInterfaceId(Greeter.class.getName()).setRef(new GreeterImpl()).setServer(server).setRegistry(registry).export();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] fields = line.split("\t", -1);
            System.out.println("=\t" + fields[0] + "\t");
        }
        System.exit(0);
    }
}
