// Writes what the installed openapi-generator offers, with options, into the file that is named.
var found = [];
var configs = Packages.org.openapitools.codegen.CodegenConfigLoader.getAll().iterator();
while (configs.hasNext()) {
  var config = configs.next();
  var options = {};
  var each = config.cliOptions().iterator();
  while (each.hasNext()) {
    var option = each.next();
    var about = {
      opt: String(option.getOpt()),
      description: String(option.getDescription()),
      type: String(option.getType())
    };
    if (option.getDefault() != null) {
      about["default"] = String(option.getDefault());
    }
    if (option.getEnum() != null) {
      about["enum"] = {};
      var values = option.getEnum().entrySet().iterator();
      while (values.hasNext()) {
        var value = values.next();
        about["enum"][String(value.getKey())] = String(value.getValue());
      }
    }
    options[about.opt] = about;
  }
  var metadata = config.getGeneratorMetadata();
  found.push({
    name: String(config.getName()),
    kind: String(config.getTag().toValue()),
    stability: metadata == null ? "stable" : String(metadata.getStability().value()),
    options: options
  });
}
var writer = new java.io.OutputStreamWriter(new java.io.FileOutputStream(arguments[0]), "UTF-8");
writer.write(JSON.stringify(found));
writer.close();
