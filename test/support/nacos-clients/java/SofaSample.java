import com.alipay.sofa.rpc.config.ApplicationConfig;
import com.alipay.sofa.rpc.config.ConsumerConfig;
import com.alipay.sofa.rpc.config.ProviderConfig;
import com.alipay.sofa.rpc.config.RegistryConfig;
import com.alipay.sofa.rpc.config.ServerConfig;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;

/**
 * An ordinary SOFARPC application: a provider, ADDRESS HOST PORT, where ADDRESS is that of a ZooKeeper, http:// that of a mesh API, or N/A for none;
 * or consumer URL, which calls that, by the mesh API of an http:// one, or consumer ADDRESS, which calls what that ZooKeeper names.
 * Driven by lines as protocol.md says: "ready" is answered when it has started, "greet NAME" by the consumer with the provider's answer; "withdraw" takes the provider back.
 */
public class SofaSample {

    private static ProviderConfig<Greeter> exported;

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
        Greeter greeter = args[0].equals("consumer") ? consumer(args[1]) : provider(args);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] fields = line.split("\t", -1);
            try {
                String value = fields[1].equals("greet") ? greeter.greet(fields[2]) : "";
                if (fields[1].equals("withdraw")) {
                    exported.unExport();
                }
                System.out.println("=\t" + fields[0] + "\t" + value);
            } catch (Throwable e) {
                System.out.println("!\t" + fields[0] + "\t" + String.valueOf(e.getMessage()).replaceAll("\\s+", " "));
            }
        }
        System.exit(0);
    }

    private static Greeter consumer(String from) {
        ConsumerConfig<Greeter> consumer = new ConsumerConfig<Greeter>()
            .setApplication(new ApplicationConfig().setAppName("asker"))
            .setInterfaceId(Greeter.class.getName()).setProtocol("bolt").setTimeout(3000);
        if (from.startsWith("http://") || !from.contains("://")) {
            consumer.setRegistry(registry(from));
        } else {
            consumer.setDirectUrl(from);
        }
        return consumer.refer();
    }

    private static RegistryConfig registry(String address) {
        return new RegistryConfig().setProtocol(address.startsWith("http://") ? "mesh" : "zookeeper").setAddress(address);
    }

    private static Greeter provider(String[] args) {
        ServerConfig server = new ServerConfig().setProtocol("bolt").setHost(args[1]).setPort(Integer.parseInt(args[2]));
        ProviderConfig<Greeter> provider = new ProviderConfig<Greeter>()
            .setApplication(new ApplicationConfig().setAppName("greeter"))
            .setInterfaceId(Greeter.class.getName()).setRef(new GreeterImpl()).setServer(server);
        if (args[0].equals("N/A")) {
            provider.setRegister(false);
        } else {
            provider.setRegistry(registry(args[0]));
        }
        provider.export();
        exported = provider;
        return null;
    }
}
