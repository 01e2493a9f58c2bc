import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import org.apache.dubbo.config.ApplicationConfig;
import org.apache.dubbo.config.ProtocolConfig;
import org.apache.dubbo.config.ReferenceConfig;
import org.apache.dubbo.config.RegistryConfig;
import org.apache.dubbo.config.ServiceConfig;
import org.apache.dubbo.config.bootstrap.DubboBootstrap;

/**
 * An ordinary Dubbo application: REGISTRY provider MODE HOST PORT, or REGISTRY consumer MODE [URL]; MODE is interface or instance.
 * REGISTRY is the address of a Nacos server, a whole address like zookeeper://HOST:PORT, or N/A for none. With URL the consumer asks no registry and calls that.
 * It is driven by lines as protocol.md says: "ready" is answered when it has started, "greet NAME" by the consumer with the provider's answer.
 */
public class DubboSample {

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
        boolean isProvider = args[1].equals("provider");
        ApplicationConfig application = new ApplicationConfig("greeter-" + args[1]);
        application.setQosEnable(false);
        application.setRegisterMode(args[2]);
        boolean isWhole = args[0].contains("://") || args[0].equals(RegistryConfig.NO_AVAILABLE);
        RegistryConfig registry = new RegistryConfig(isWhole ? args[0] : "nacos://" + args[0]);
        DubboBootstrap bootstrap = DubboBootstrap.getInstance().application(application).registry(registry);
        Greeter greeter = null;
        if (isProvider) {
            ProtocolConfig protocol = new ProtocolConfig("dubbo", Integer.parseInt(args[4]));
            protocol.setHost(args[3]);
            ServiceConfig<Greeter> service = new ServiceConfig<>();
            service.setInterface(Greeter.class);
            service.setRef(new GreeterImpl());
            bootstrap.protocol(protocol).service(service).start();
        } else {
            ReferenceConfig<Greeter> reference = new ReferenceConfig<>();
            reference.setInterface(Greeter.class);
            reference.setCheck(false);
            if (args.length > 3) {
                reference.setUrl(args[3]);
            }
            reference.setTimeout(3000);
            bootstrap.reference(reference).start();
            greeter = reference.get();
        }
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] fields = line.split("\t", -1);
            try {
                String value = fields[1].equals("greet") ? greeter.greet(fields[2]) : "";
                System.out.println("=\t" + fields[0] + "\t" + value);
            } catch (Throwable e) {
                System.out.println("!\t" + fields[0] + "\t" + String.valueOf(e.getMessage()).replaceAll("\\s+", " "));
            }
        }
        System.exit(0);
    }
}
